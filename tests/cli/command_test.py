"""Runs the command kvcache as a user would and checks what it prints, writes and refuses.

    python3 tests/cli/command_test.py build/dev/bin/kvcache
"""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

COMMAND = ""


def surroundings(**environment):
    return {**os.environ, "OMP_NUM_THREADS": "2", **environment}


def run(*arguments, **environment):
    return subprocess.run([COMMAND, *arguments], capture_output=True, env=surroundings(**environment), timeout=300)


ENDLESS = ("--tokens", "1000000", "--cache", "window:sinks=4,recent=28,positions=shifted")
FULL = "standard output could not be written whole: No space left on device; is the disk full?"


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(Path(self.folder.name) / name)

    def output(self, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def json(self, *arguments):
        self.output(*arguments, "--json", self.path("out.json"))
        return json.loads(Path(self.path("out.json")).read_text())

    def refused(self, sentence, *arguments, status=1):
        done = run(*arguments)
        self.assertEqual(done.returncode, status, (arguments, done.stdout, done.stderr))
        self.assertIn(sentence, done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace"))
        if status == 1:
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


    # --- generate
    def test_generate_streams_the_text_and_writes_what_it_did(self):
        printed = self.output("generate", "--prompt", "ROMEO.", "--tokens", "20", "--json", self.path("out.json"))
        done = json.loads(Path(self.path("out.json")).read_text())
        self.assertEqual(printed, "ROMEO." + done["text"] + "\n")
        self.assertEqual(len(done["generated_ids"]), 20)
        self.assertEqual(len(done["seconds_per_step"]), 20)
        self.assertTrue(all(s > 0 for s in done["seconds_per_step"]))
        for part in ("tokenising", "projection", "attention", "feed-forward", "output layer", "sampling", "copying"):
            self.assertGreater(done["parts"][part]["seconds"], 0, part)
        fed = len(done["prompt_ids"]) + 19  # the last token is never fed
        self.assertEqual(done["memory"]["formula_bytes"], 2 * 6 * 2 * 32 * 4 * fed)
        self.assertEqual(done["memory"]["used_bytes"], done["memory"]["formula_bytes"])
        self.assertGreaterEqual(done["memory"]["reserved_bytes"], done["memory"]["used_bytes"])
        self.assertEqual(done["memory"]["bookkeeping_bytes"], 0)

    def test_every_cache_and_none_write_the_same_tokens(self):
        ids = [self.json("generate", "--tokens", "30", "--cache", cache)["generated_ids"]
               for cache in ("growing", "preallocated", "concatenating", "none")]
        self.assertEqual(ids, [ids[0]] * 4)

    def test_a_seed_gives_the_same_text_and_another_seed_another(self):
        def text(seed):
            return self.json("generate", "--tokens", "30", "--temperature", "1", "--seed", seed)["generated_ids"]
        self.assertEqual(text("1"), text("1"))
        self.assertNotEqual(text("1"), text("2"))

    def test_generation_stops_at_the_end_of_a_text(self):
        ids = self.json("generate", "--tokens", "900", "--temperature", "1.3", "--seed", "5")["generated_ids"]
        self.assertTrue(0 not in ids[:-1])

    # --- sessions
    def session_run(self, name, *arguments):
        done = run("generate", "--session", self.path(name), "--json", self.path("out.json"), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done, json.loads(Path(self.path("out.json")).read_text())

    def test_a_session_in_two_runs_writes_what_one_run_with_both_prompts_writes(self):
        for cache in ("growing", "preallocated:format=int8", "window:sinks=2,recent=20", "paged:page=4",
                      "heavy-hitter:budget=30", "random:budget=30", "offloaded:block=8,recent=1",
                      "growing:format=kivi,group=8,residual=8", "layers:0-2=growing;rest=window:sinks=0,recent=16"):
            with self.subTest(cache):
                Path(self.path("s")).unlink(missing_ok=True)
                first_run, first = self.session_run("s", "--prompt", "ROMEO.", "--tokens", "24", "--cache", cache)
                self.assertEqual(first_run.stderr, b"")
                second_run, second = self.session_run("s", "--prompt", "\nJULIET.", "--tokens", "24")
                self.assertEqual(first["resumed_tokens"], 0)
                known = first["prompt_ids"] + first["generated_ids"]
                self.assertEqual(second["resumed_tokens"], len(known))
                self.assertEqual(second["prompt_ids"][:len(known)], known)
                self.assertEqual(second_run.stdout.decode(), "\nJULIET." + second["text"] + "\n")
                self.assertEqual(second["cache"], cache)
                self.assertEqual(
                    second_run.stderr.decode(),
                    f"kvcache: {self.path('s')}: resumed {len(known)} tokens, {len(known) - 1} of them in the cache "
                    f"({cache}); {len(second['prompt_ids']) - len(known) + 1} to compute before the next\n")
                once = self.json("generate", "--prompt", "ROMEO." + first["text"] + "\nJULIET.", "--tokens", "24",
                                 "--cache", cache)
                self.assertEqual(once["prompt_ids"], second["prompt_ids"])
                self.assertEqual(once["generated_ids"], second["generated_ids"])

    def test_a_session_without_a_new_prompt_just_goes_on(self):
        for cache in ("growing", "window:sinks=2,recent=20", "heavy-hitter:budget=30", "random:budget=30",
                      "growing:format=kivi,group=8,residual=8"):
            with self.subTest(cache):
                Path(self.path("s")).unlink(missing_ok=True)
                _, first = self.session_run("s", "--prompt", "ROMEO.", "--tokens", "20", "--cache", cache)
                done, second = self.session_run("s", "--tokens", "30")
                once = self.json("generate", "--prompt", "ROMEO.", "--tokens", "50", "--cache", cache)
                self.assertEqual(first["generated_ids"] + second["generated_ids"], once["generated_ids"])
                self.assertEqual(done.stdout.decode(), second["text"] + "\n")

    def test_a_session_that_does_not_fit_is_refused_and_stays_as_it_is(self):
        session, arguments = self.path("s"), ("--tokens", "5")
        self.session_run("s", *arguments)
        whole = Path(session).read_bytes()
        self.refused('has the cache "growing", but --cache window is given; leave --cache out', "generate", "--session",
                     session, "--cache", "window", *arguments)
        self.refused('was begun with the model "tiny" (fingerprint ', "generate", "--session", session, "--model",
                     "tiny-mha", *arguments)
        self.refused("--system is said at the beginning", "generate", "--session", session, "--chat", "--system", "x",
                     *arguments)
        self.refused("--cache none keeps nothing", "generate", "--session", session, "--cache", "none", *arguments)
        self.assertEqual(Path(session).read_bytes(), whole)
        self.session_run("s", "--cache", "growing", *arguments)  # the same one may be named
        for broken, sentence in ((whole[:-1], "the file was cut off or changed"), (b"{}", "not a session"),
                                 (b"", "the file is empty"), (whole[:99] + b"\0" + whole[100:], "cut off or changed")):
            Path(session).write_bytes(broken)
            self.refused(sentence, "generate", "--session", session, *arguments)
            self.assertEqual(Path(session).read_bytes(), broken)
        self.refused("there is no folder", "generate", "--session", self.path("no/s"), *arguments)
        self.assertEqual(sorted(p.name for p in Path(self.folder.name).iterdir()), ["out.json", "s"])

    # --- models on disk
    def golden(self, name):
        return str(Path(__file__).resolve().parents[1] / "goldens" / name)

    def test_info_says_what_a_model_is(self):
        printed = self.output("info", "--model", "tiny")
        for words in ("family       llama", "6 query heads, 2 kv heads of 32 (GQA)", "F16: ", "3,072 B a token in f32",
                      "COMPUTED"):
            self.assertIn(words, printed)
        mixed = self.json("info", "--model", self.golden("gguf/tokenizer_smollm.gguf"))
        self.assertEqual(mixed["family"], "llama")
        self.assertEqual(mixed["cache_bytes_per_token_f32"], 2 * mixed["layers"] * mixed["kv_heads"] * mixed["head_dim"] * 4)
        self.assertGreater(sum(share["numbers"] for share in mixed["weights"].values()), 1000)
        self.assertIn("RANDOM weights", self.output("info", "--model", "shape:gpt2-medium"))

    def test_a_gguf_file_races_and_generates_packed_and_unpacked(self):
        model = self.golden("gguf/tokenizer_gpt2.gguf")
        race = self.json("race", "--model", model, "--tokens", "6", "--repeats", "1", "--proof", "double")
        self.assertTrue(race["same_tokens"])
        self.assertLess(race["max_logit_difference_double"], 1e-12)
        ids = [self.json("generate", "--model", model, "--tokens", "8", "--weights", weights)["generated_ids"]
               for weights in ("packed", "f32")]
        self.assertEqual(ids[0], ids[1])

    def test_a_model_without_a_chat_format_says_so_and_answers_all_the_same(self):
        done = run("generate", "--chat", "--prompt", "ROMEO.", "--tokens", "5")
        self.assertEqual(done.returncode, 0)
        self.assertIn("has no chat template", done.stderr.decode())

    def model_with(self, **files):
        """A copy of tiny with other files beside it."""
        folder = Path(self.path("model"))
        shutil.copytree(Path(__file__).resolve().parents[2] / "models/tiny", folder, dirs_exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return str(folder)

    def ids(self, text):
        Path(self.path("lines")).write_text(json.dumps(text) + "\n")
        return json.loads(self.output("tokenize", "--json-lines", self.path("lines")))

    def test_a_chat_is_what_the_models_template_writes_and_goes_on_so(self):
        template = ("{% if messages[0].role != 'system' %}{{ 'Be brief.\n' }}{% endif %}{% for m in messages %}"
                    "{{ m.role + ': ' + m.content | trim + '<|endoftext|>' }}{% endfor %}"
                    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}")
        model = self.model_with(tokenizer_config={"chat_template": template}, generation_config={"eos_token_id": 1023})
        arguments = ("generate", "--model", model, "--chat", "--session", self.path("s"), "--tokens", "4")
        first = self.json(*arguments, "--prompt", "  Who?\n")
        self.assertEqual(first["prompt_ids"], self.ids("Be brief.\nuser: Who?<|endoftext|>assistant: "))
        second = self.json(*arguments, "--prompt", " When? ")
        self.assertEqual(second["prompt_ids"][:-len(self.ids("<|endoftext|>user: When?<|endoftext|>assistant: "))],
                         first["prompt_ids"] + first["generated_ids"])
        self.assertEqual(second["prompt_ids"][len(first["prompt_ids"]) + 4:],
                         self.ids("<|endoftext|>user: When?<|endoftext|>assistant: "))
        told = self.json("generate", "--model", model, "--chat", "--system", "x", "--prompt", "a", "--tokens", "1")
        self.assertEqual(told["prompt_ids"], self.ids("system: x<|endoftext|>user: a<|endoftext|>assistant: "))
        self.model_with(tokenizer_config={"chat_template": "{% call a() %}{% endcall %}"})
        self.refused("has the statement 'call', which is not supported; without --chat", *arguments[:4], "--prompt", "a")

    def test_a_text_ends_where_generation_config_json_says(self):
        model = self.model_with()
        whole = self.json("generate", "--model", model, "--prompt", "ROMEO.", "--tokens", "8")["generated_ids"]
        self.assertEqual(len(whole), 8)
        self.model_with(generation_config={"eos_token_id": [0, whole[2]]})
        ended = self.json("generate", "--model", model, "--prompt", "ROMEO.", "--tokens", "8")["generated_ids"]
        self.assertEqual(ended, whole[:whole.index(whole[2]) + 1])

    def test_memory_counts_weights_as_they_lie_in_the_file(self):
        printed = self.output("memory", "--model", self.golden("gguf/llama_q4_0.gguf"), "--budget", "1GiB")
        self.assertIn("weights (as in the file", printed)
        shares = self.json("info", "--model", self.golden("gguf/tokenizer_gpt2.gguf"))["weights"].values()
        kibibytes = sum(share["bytes"] for share in shares) / 1024
        self.assertIn(f"take {kibibytes:.1f} KiB",
                      self.output("memory", "--model", self.golden("gguf/tokenizer_gpt2.gguf"), "--budget", "1GiB"))

    def test_smollm2_is_named_by_its_script_before_it_is_fetched(self):
        done = run("info", "--model", "smollm2", XDG_CACHE_HOME=self.folder.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("run scripts/fetch_model.sh smollm2", done.stderr.decode())

    def test_bad_model_files_get_a_sentence(self):
        Path(self.path("bad.gguf")).write_bytes(b"GGUF" + bytes(40))
        self.refused("is GGUF version 0", "info", "--model", self.path("bad.gguf"))
        self.refused("no GGUF file", "info", "--model", self.path("missing.gguf"))

    # --- race
    def test_race_proves_the_same_tokens_and_counts_the_bytes(self):
        race = self.json("race", "--tokens", "24", "--repeats", "2", "--proof", "double", "--csv", self.path("out.csv"))
        self.assertEqual([r["cache"] for r in race["runs"]], ["none", "growing"])
        self.assertTrue(race["same_tokens"])
        self.assertEqual(race["runs"][0]["generated_ids"], race["runs"][1]["generated_ids"])
        self.assertLess(race["max_logit_difference"], 1e-3)
        self.assertGreater(race["max_logit_difference"], 0)  # float rounds: an exact 0 would mean that nothing was compared
        self.assertLess(race["max_logit_difference_double"], 1e-12)
        for r in race["runs"]:
            self.assertEqual(len(r["seconds"]), 2)
            self.assertEqual(len(r["ms_per_token"]), 24)
            self.assertAlmostEqual(r["mean"], sum(r["seconds"]) / 2)
            self.assertGreaterEqual(r["std"], 0)
        if race["ratio"] is None:  # other tests run at the same time
            self.assertIn("the repeats of the same work disagree", race["disturbed"])
        else:
            self.assertAlmostEqual(race["ratio"], race["runs"][0]["mean"] / race["runs"][1]["mean"])
        cached = race["runs"][1]
        self.assertEqual(cached["memory"]["used_bytes"], 2 * 6 * 2 * 32 * 4 * (len(race["prompt_ids"]) + 23))
        self.assertEqual(cached["memory"]["used_bytes"], cached["memory"]["formula_bytes"])
        # Without a cache every step multiplies for the whole text; with one, for one token.
        self.assertGreater(race["runs"][0]["parts"]["projection"]["multiplications"],
                           5 * cached["parts"]["projection"]["multiplications"])
        lines = Path(self.path("out.csv")).read_text().splitlines()
        self.assertEqual(lines[0], "token,none_ms,growing_ms")
        self.assertEqual(len(lines), 25)

    def test_race_says_it_in_the_words_of_the_benchmark(self):
        printed = self.output("race", "--tokens", "8", "--repeats", "2")
        self.assertRegex(printed, r"\nwith KV caching: [0-9.]+ ± [0-9.]+ seconds\n")
        self.assertRegex(printed, r"\nwithout KV caching: [0-9.]+ ± [0-9.]+ seconds\n")
        self.assertRegex(printed, r"\nratio: ([0-9.]+|not known)  \(without KV caching / with KV caching\)")
        self.assertIn("same tokens: yes, all 8 of 2 runs", printed)
        self.assertIn("(equal)", printed)
        self.assertNotIn("NOT EQUAL", printed)
        for label in ("MEASURED", "COMPUTED"):
            self.assertIn(label, printed)

    @unittest.skipUnless(os.path.exists("/proc/thread-self/schedstat"), "this system does not tell who had the processor")
    def test_a_race_on_a_busy_machine_says_so(self):
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * os.cpu_count())]
        try:
            printed = self.output("race", "--tokens", "60", "--repeats", "2", "--proof", "off", "--json", self.path("busy.json"))
        finally:
            for other in others:
                other.kill()
                other.wait()
        self.assertRegex(printed, r"\nDISTURBED: for [0-9]+ % of the time other programs had the processor")
        self.assertIn("MEASURED, disturbed", printed)
        race = json.loads(Path(self.path("busy.json")).read_text())
        self.assertGreater(race["share_waited"], 0.1)

    def test_race_takes_several_caches_and_says_what_each_copied(self):
        race = self.json("race", "--tokens", "10", "--repeats", "1", "--cache", "none", "--cache", "concatenating",
                         "--cache", "growing", "--cache", "preallocated")
        by_cache = {r["cache"]: r for r in race["runs"]}
        p, token = len(race["prompt_ids"]), 2 * 6 * 2 * 32 * 4
        self.assertEqual(by_cache["concatenating"]["bytes_copied"], token * sum(range(p, p + 9)))
        self.assertEqual(by_cache["preallocated"]["bytes_copied"], 0)
        self.assertTrue(race["same_tokens"])

    def test_race_makes_a_table_of_lengths(self):
        printed = self.output("race", "--tokens", "1,4,8", "--prompt-tokens", "4,16", "--repeats", "1")
        self.assertIn("p=4", printed)
        self.assertIn("p=16", printed)
        for n in (1, 4, 8):
            self.assertRegex(printed, rf"\n +{n} tok\. +[0-9.]+ +[0-9.]+\n")

    def test_race_runs_a_shape_with_random_weights_and_says_so(self):
        printed = self.output("race", "--model", "shape:tiny", "--tokens", "4", "--repeats", "1", "--json", self.path("s.json"))
        self.assertIn("RANDOM weights", printed)
        race = json.loads(Path(self.path("s.json")).read_text())
        self.assertTrue(race["random_weights"])
        self.assertEqual(len(race["prompt_ids"]), 8)

    def test_the_three_embedded_models_race(self):
        for model, kv_heads in (("tiny-mha", 6), ("tiny", 2), ("tiny-mqa", 1)):
            race = self.json("race", "--model", model, "--tokens", "6", "--repeats", "1")
            self.assertTrue(race["same_tokens"])
            self.assertEqual(race["runs"][1]["memory"]["used_bytes"], 2 * 6 * kv_heads * 32 * 4 * (len(race["prompt_ids"]) + 5))

    # --- memory
    def test_race_takes_caches_that_forget_and_round_and_says_so(self):
        printed = self.output("race", "--tokens", "30", "--repeats", "1", "--proof", "off", "--cache", "none", "--cache",
                              "window:sinks=0,recent=4", "--cache", "paged:page=4", "--cache", "growing:format=q4_0",
                              "--picture", self.path("race.svg"), "--json", self.path("out.json"))
        self.assertIn("same tokens: NO, window:sinks=0,recent=4 differs from none at token", printed)
        self.assertIn("(it forgets tokens, or rounds their numbers)", printed)
        runs = {run["cache"]: run for run in json.loads(Path(self.path("out.json")).read_text())["runs"]}
        self.assertEqual(runs["paged:page=4"]["generated_ids"], runs["none"]["generated_ids"])
        self.assertEqual(runs["window:sinks=0,recent=4"]["memory"]["used_bytes"], 2 * 6 * 2 * 32 * 4 * 4)
        self.assertEqual(runs["growing:format=q4_0"]["memory"]["used_bytes"] * 32 * 4,
                         runs["paged:page=4"]["memory"]["used_bytes"] * 18)
        picture = Path(self.path("race.svg")).read_text()
        self.assertTrue(picture.startswith("<svg") and picture.count("<polyline") == 4)

    # --- caches and quality
    def test_caches_lists_policies_and_formats_with_their_bytes(self):
        printed = self.output("caches", "--model", "tiny")
        for name in ("growing", "preallocated", "concatenating", "window", "paged", "heavy-hitter", "random",
                     "offloaded", "layers", "kivi"):
            self.assertRegex(printed, f"(?m)^{name} ")
        lines = {line.split()[0]: line.split()[1] for line in printed.splitlines() if line and line[0] != " "}
        numbers = 2 * 6 * 2 * 32
        self.assertEqual([lines[f] for f in ("f32", "f16", "bf16", "int8", "int4", "q8_0", "q4_0")],
                         [f"{n:,}" for n in (4 * numbers, 2 * numbers, 2 * numbers, numbers * 36 // 32,
                                             numbers * 20 // 32, numbers * 34 // 32, numbers * 18 // 32)])
        for file in set(part for part in printed.split() if part.startswith("include/")):
            self.assertTrue((Path(__file__).parents[2] / file).exists(), file)

    def test_quality_compares_caches_along_a_text(self):
        text = self.path("text.txt")
        Path(text).write_text("To be, or not to be, that is the question. " * 12)
        printed = self.output("quality", "--text", text, "--tokens", "60", "--cache", "growing", "--cache", "paged",
                              "--cache", "window:sinks=2,recent=14", "--cache", "window", "--cache",
                              "heavy-hitter:budget=16", "--cache", "growing:format=int8", "--json",
                              self.path("out.json"), "--csv", self.path("out.csv"), "--picture", self.path("out.svg"))
        self.assertIn("note: window still holds every token: the text is not longer than what it keeps\n", printed)
        self.assertEqual(printed.count("note: "), 1)
        done = json.loads(Path(self.path("out.json")).read_text())
        self.assertEqual(done["tokens"], 60)
        runs = {run["cache"]: run for run in done["runs"]}
        growing, paged, window = runs["growing"], runs["paged"], runs["window:sinks=2,recent=14"]
        self.assertEqual((growing["kl_divergence"], growing["top1_agreement"], growing["evictions"]), (0, 1, 0))
        self.assertAlmostEqual(paged["mean_nll"], growing["mean_nll"], places=5)
        self.assertLess(paged["kl_divergence"], 1e-9)
        self.assertEqual(window["evictions"], 59 - 16)
        self.assertEqual(runs["heavy-hitter:budget=16"]["evictions"], 59 - 16)
        self.assertEqual(window["used_bytes"], 16 * 2 * 6 * 2 * 32 * 4)
        self.assertGreater(window["kl_divergence"], 1e-3)
        self.assertLess(0, runs["growing:format=int8"]["kl_divergence"])
        self.assertLess(runs["growing:format=int8"]["kl_divergence"], 1e-3)
        losses = [line.split(",") for line in Path(self.path("out.csv")).read_text().replace('"window:sinks=2,', '"window:').splitlines()]
        self.assertEqual(len(losses), 60)
        self.assertAlmostEqual(sum(float(line[1]) for line in losses[1:]) / 59, growing["mean_nll"], places=4)
        self.assertEqual(Path(self.path("out.svg")).read_text().count("<polyline"), 6)

    def test_quality_counts_what_is_gone_where_layers_differ(self):
        text = self.path("text.txt")
        Path(text).write_text("To be, or not to be, that is the question. " * 3)
        cache = "layers:0-3=growing;4=window:sinks=0,recent=8;5=window:sinks=0,recent=9"
        printed = self.output("quality", "--text", text, "--tokens", "30", "--cache", cache, "--json", self.path("out.json"))
        gone = (29 - 8 + 29 - 9) / 6  # of 29 tokens read
        self.assertAlmostEqual(json.loads(Path(self.path("out.json")).read_text())["runs"][0]["evictions"], gone)
        self.assertRegex(printed, rf" {gone:.1f} +\d")
        self.assertNotIn("note: ", printed)

    def test_quality_can_compare_against_another_cache_than_the_first(self):
        text = self.path("text.txt")
        Path(text).write_text("Shall I compare thee to a summer's day? " * 5)
        done = self.json("quality", "--text", text, "--cache", "window:sinks=0,recent=8", "--against", "growing")
        self.assertEqual([run["cache"] for run in done["runs"]], ["growing", "window:sinks=0,recent=8"])
        self.assertEqual(done["against"], "growing")

    def test_a_window_with_shifted_positions_reads_far_beyond_the_models_positions(self):
        text = self.path("text.txt")
        Path(text).write_text((Path(__file__).parents[2] / "models/held_out.txt").read_text()[:6000])
        self.refused("but with growing the model can read 1024", "quality", "--text", text, "--cache", "growing")
        cache = "window:sinks=4,recent=252,positions=shifted"
        done = self.json("quality", "--text", text, "--tokens", "2200", "--cache", cache)
        self.assertLess(done["runs"][0]["mean_nll"], 3.4)  # 3.0 on what the model was made for; noise would be 6.9
        self.assertEqual(done["runs"][0]["used_bytes"], 256 * 3072)
        ids = self.json("generate", "--tokens", "1300", "--cache", cache)["generated_ids"]
        self.assertGreater(len(ids), 1)

    def test_plot_draws_a_csv_file(self):
        Path(self.path("in.csv")).write_text('x,"a, b",a error,c\n1,2,,3\n2,4,,\n4,8,,5\n')
        self.output("plot", self.path("in.csv"), self.path("out.svg"), "--title", "A <title>", "--log-x", "--marks")
        picture = Path(self.path("out.svg")).read_text()
        self.assertIn("A &lt;title&gt;", picture)
        self.assertEqual(picture.count("<polyline"), 3)
        self.assertEqual(picture.count("<circle"), 5)
        Path(self.path("in.csv")).write_text("x,y,y error\n1,2,0.5\n2,x,1\n")
        self.refused('line 3: "x" is no number', "plot", self.path("in.csv"), self.path("out.svg"))
        Path(self.path("in.csv")).write_text("x,y\n1\n")
        self.refused("line 2: 1 cells, but the first line has 2", "plot", self.path("in.csv"), self.path("out.svg"))

    def test_plot_draws_numbers_that_lie_too_close_and_names_that_are_no_text(self):
        for content in (b"x,y\n1e16,3\n10000000000000002,4\n", b"x,\xff\x1b&\n1e17,3\n", b"x,y\n-1e308,1e308\n1e308,-1e308\n",
                        b"x,y,y error\n1,2,inf\n2,nan,1\n3,-inf,\n", b"x,y\n1,0\n2,0\n"):
            Path(self.path("in.csv")).write_bytes(content)
            for options in ((), ("--log-x",), ("--from-data", "--marks")):
                done = subprocess.run([COMMAND, "plot", self.path("in.csv"), self.path("out.svg"), *options], timeout=20)
                self.assertEqual(done.returncode, 0)
                picture = Path(self.path("out.svg")).read_bytes()
                xml.dom.minidom.parseString(picture)
                self.assertNotIn(b"nan", picture)
                self.assertNotIn(b"inf", picture)

    def test_memory_knows_the_bytes_of_well_known_models(self):
        published = {  # bytes a token in f32, f16, q8_0 and q4_0
            "gpt2": "73,728 36,864 19,584 10,368", "gpt2-medium": "196,608 98,304 52,224 27,648",
            "gpt2-xl": "614,400 307,200 163,200 86,400", "smollm2-135m": "46,080 23,040 12,240 6,480",
            "qwen2.5-0.5b": "24,576 12,288 6,528 3,456", "qwen3-0.6b": "229,376 114,688 60,928 32,256",
            "tinyllama-1.1b": "45,056 22,528 11,968 6,336", "llama-3.2-1b": "65,536 32,768 17,408 9,216",
            "llama-2-7b": "1,048,576 524,288 278,528 147,456", "llama-3.1-8b": "262,144 131,072 69,632 36,864",
        }
        for model, bytes_a_token in published.items():
            printed = self.output("memory", "--model", model)
            for name, count in zip(("f32", "f16", "q8_0", "q4_0"), bytes_a_token.split()):
                self.assertRegex(printed, rf"\n +{name} +{count} B", model)
        self.assertRegex(self.output("memory", "--model", "gpt2-medium", "--tokens", "1000"), r"f32 .*187\.5 MiB")
        self.assertRegex(self.output("memory", "--model", "qwen3-0.6b", "--tokens", "40960"), r"f16 .*4\.38 GiB")

    def test_memory_asks_the_caches_that_are_named(self):
        printed = self.output("memory", "--model", "llama-3.1-8b", "--tokens", "4096", "--budget", "24GiB",
                              "--cache", "growing:format=f16", "--cache", "window:sinks=4,recent=1020,format=int8",
                              "--cache", "offloaded:block=64,recent=4,format=f16", "--cache", "layers:0-1=growing;rest=window:recent=28")
        rows = {line.split()[0]: line.split() for line in printed.splitlines() if ":" in line}
        self.assertEqual(rows["growing:format=f16"][1:3], ["512.0", "MiB"])  # 2 * 32 * 8 * 128 * 2 * 4096
        self.assertEqual(rows["window:sinks=4,recent=1020,format=int8"][1:3], ["66.0", "MiB"])  # 130 bytes a row
        self.assertEqual(rows["offloaded:block=64,recent=4,format=f16"][5:7], ["480.0", "MiB"])
        self.assertEqual(rows["layers:0-1=growing;rest=window:recent=28"][1:3], ["71.5", "MiB"])
        self.refused("no layer", "memory", "--cache", "layers:99=growing")
        self.refused("unknown", "memory", "--cache", "none-such")

    def test_memory_computes_any_length_and_refuses_what_cannot_be_counted(self):
        printed = self.output("memory", "--model", "llama-3.1-8b", "--tokens", "1073741824", "--cache", "growing", "--cache", "paged:page=1073741824",
                              "--cache", "offloaded")
        self.assertEqual(printed.count("256.0 TiB"), 10, printed)  # 2^48 bytes: in use, reserved, for a batch; and in a file
        self.refused("16777217 x 256 make 4294967552 slots", "memory", "--tokens", "1000", "--cache", "paged:page=256,pages=16777217")
        self.refused("65536 x 65536 make 4294967296 slots", "generate", "--tokens", "5", "--cache", "offloaded:block=65536,recent=65536")
        self.refused("names layers for a layer", "generate", "--cache", "layers:" + "rest=layers:" * 9000 + "rest=growing")

    def test_memory_says_what_fits_beside_the_weights(self):
        printed = self.output("memory", "--model", "llama-2-7b", "--tokens", "4096", "--budget", "24GiB")
        left = 24 * 2**30 - 2 * 6738415616  # the model's published number of parameters
        self.assertIn("6,738,415,616 parameters", printed)
        self.assertRegex(printed, rf"\n +f16 [^B]* {left // (524288 * 4096)}\n")
        self.assertIn("they do not fit", self.output("memory", "--model", "llama-2-7b", "--budget", "1GiB"))
        self.assertIn("1/6 of MHA", self.output("memory", "--model", "tiny"))
        self.assertIn("6.00 MiB", self.output("memory", "--model", "tiny", "--tokens", "1024", "--batch", "2"))

    # --- tokenize
    def test_tokenize_shows_ids_and_pieces(self):
        printed = self.output("tokenize", "To be, or not to be")
        self.assertEqual("".join(json.loads(line.split(None, 1)[1]) for line in printed.splitlines()[:-1]), "To be, or not to be")
        self.assertIn("tokens for 19 bytes", printed)

    def test_tokenize_takes_many_texts_as_json_lines(self):
        texts = ["To be, or not to be", "", "a\nb\r\n\u2028c\x00", "caf\u00e9 \U0001f600 \u65e5\u672c", "it's <|endoftext|>"]
        for ascii_only in (True, False):
            lines = "".join(json.dumps(text, ensure_ascii=ascii_only) + "\n" for text in texts)
            Path(self.path("texts")).write_text(lines, encoding="utf-8")
            rows = [json.loads(line) for line in self.output("tokenize", "--json-lines", self.path("texts")).split("\n")[:-1]]
            self.assertEqual(len(rows), len(texts))
            self.assertEqual(rows[1], [])
            one_by_one = self.output("tokenize", texts[3]).splitlines()[:-1]
            self.assertEqual(rows[3], [int(line.split()[0]) for line in one_by_one])
        Path(self.path("texts")).write_text('"the last line may lack its end"')
        self.assertEqual(len(self.output("tokenize", "--json-lines", self.path("texts")).splitlines()), 1)

    def test_tokenize_names_the_line_that_is_no_json_string(self):
        def refused(sentence, lines):
            Path(self.path("texts")).write_bytes(lines)
            self.refused(sentence, "tokenize", "--json-lines", self.path("texts"))
        refused("texts: line 2 is not JSON", b'"a"\nb\n')
        refused("texts: line 2 is not JSON", b'"a"\n\n"b"\n')
        refused("texts: line 3 must be a string, but is a number (7)", b'"a"\n"b"\n7\n')
        refused("texts: line 1 is not JSON", b'"\\ud83d"\n')  # half a character
        refused("texts: line 1 is not JSON", b'"\xff"\n')
        self.refused("cannot be read: No such file or directory", "tokenize", "--json-lines", self.path("none"))
        self.refused("cannot be read: Is a directory", "tokenize", "--json-lines", self.folder.name)
        self.refused("a text, or --json-lines with a file, is required", "tokenize", status=2)
        self.refused("a text, or --json-lines with a file, is required", "tokenize", "--", status=2)
        self.refused("text excludes --json-lines", "tokenize", "a", "--json-lines", self.path("texts"), status=2)

    # --- texts from elsewhere
    def test_a_prompt_comes_from_a_file_or_from_standard_input(self):
        def ids(*arguments, given=b""):
            done = subprocess.run([COMMAND, "generate", "--tokens", "1", "--json", self.path("out.json"), *arguments],
                                  capture_output=True, input=given, env=surroundings())
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(Path(self.path("out.json")).read_text())["prompt_ids"]
        text, file = "ROMEO.\nSpeak, \u00e9!", self.path("prompt")
        wanted = ids("--prompt", text)
        for end in ("", "\n", "\r\n"):  # of what editors and echo put there, one
            for mark in ("", "\ufeff"):
                content = (mark + text + end).encode()
                Path(file).write_bytes(content)
                for way in (("--prompt", "@" + file), ("--prompt-file", file), ("--prompt-file=" + file,)):
                    self.assertEqual(ids(*way), wanted, (way, end))
                for way in (("--prompt", "-"), ("--prompt-file", "-"), ("--prompt", "@-")):
                    self.assertEqual(ids(*way, given=content), wanted, (way, end))
        self.assertEqual(ids("--prompt", "@@home"), ids("--prompt", "-", given=b"@home"))
        self.assertNotEqual(ids("--prompt", "-", given=b"a\n\n"), ids("--prompt", "a"))  # one line end, and no more
        race = ["race", "--tokens", "2", "--repeats", "1", "--proof", "off"]
        self.assertEqual(self.json(*race, "--prompt-file", file)["prompt_ids"], wanted)
        self.refused(f"stands for a file, but {file}2 cannot be found: No such file or directory; if it is no file, begin "
                     "the text with @@", "generate", "--prompt", f"@{file}2")
        self.refused("cannot be read: Is a directory", "generate", "--prompt-file", self.folder.name)
        self.refused("--prompt excludes --prompt-file", "generate", "--prompt", "a", "--prompt-file", file, status=2)
        self.refused("only one text can come from it", "generate", "--chat", "--prompt", "-", "--system", "-")
        self.refused("the prompt is empty", "generate", "--prompt", "-")

    def test_texts_of_more_than_128_kib_are_read(self):
        text = "To be, or not to be, that is the question. " * 3500
        Path(self.path("long")).write_text(text)
        done = self.json("generate", "--prompt-file", self.path("long"), "--tokens", "2", "--cache",
                         "window:sinks=4,recent=28,positions=shifted")
        self.assertGreater(len(done["prompt_ids"]), 30000)
        counted = subprocess.run([COMMAND, "tokenize", "-"], input=text.encode(), capture_output=True)
        self.assertIn(f"\n{len(done['prompt_ids'])} tokens for {len(text)} bytes\n", counted.stdout.decode())

    def test_tokenize_takes_any_text(self):
        for text in ("--help me", "--x", "-x", "--", "-", "++", "race", "--json-lines", "@", "@@"):
            given = "@" + text if text.startswith("@@") else text
            done = subprocess.run([COMMAND, "tokenize", "--", given], input=text.encode(), capture_output=True)
            self.assertEqual(done.returncode, 0, (text, done.stderr))
            self.assertIn(f"tokens for {len(text)} bytes", done.stdout.decode())
        Path(self.path("lines")).write_text('"a"\n"b"\n')
        with open(self.path("lines"), "rb") as lines:
            done = subprocess.run([COMMAND, "tokenize", "--json-lines", "-"], stdin=lines, capture_output=True)
        self.assertEqual(done.stdout, self.output("tokenize", "--json-lines", self.path("lines")).encode())

    def test_quality_reads_standard_input(self):
        text = ("To be, or not to be. " * 4).encode()
        Path(self.path("text")).write_bytes(text)
        done = subprocess.run([COMMAND, "quality", "--text", "-", "--json", self.path("out.json")], input=text, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        piped = json.loads(Path(self.path("out.json")).read_text())["runs"][0]["mean_nll"]
        self.assertEqual(piped, self.json("quality", "--text", self.path("text"))["runs"][0]["mean_nll"])

    # --- outputs
    def test_what_cannot_be_printed_is_an_error(self):
        text = self.path("text")
        Path(text).write_text("To be, or not to be. " * 4)
        for command in (["tokenize", "hi"], ["tokenize", "a " * 3000], ["memory", "--model", "tiny"], ["caches"], ["info"],
                        ["generate", "--tokens", "2"], ["quality", "--text", text], ["--help"], ["--version"],
                        ["race", "--tokens", "2", "--repeats", "1"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([COMMAND, *command], stdout=full, stderr=subprocess.PIPE, env=surroundings())
            self.assertEqual((done.returncode, done.stderr.decode()), (1, f"kvcache: {FULL}\n"), command)
        closed = subprocess.run([COMMAND, "tokenize", "hi"], stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
        self.assertEqual(closed.returncode, 1)
        self.assertIn(b"standard output could not be written whole: Bad file descriptor", closed.stderr)
        with open("/dev/full", "wb") as full:  # what cannot be said changes nothing
            lost = subprocess.run([COMMAND, "generate", "--model", "nope"], stderr=full, stdout=subprocess.PIPE)
        self.assertEqual(lost.returncode, 1)

    def test_a_reader_who_has_gone_is_no_error_and_files_are_written_all_the_same(self):
        for command in (["generate", *ENDLESS], ["caches"], ["race", "--tokens", "2", "--repeats", "1", "--json", self.path("a")],
                        ["generate", "--tokens", "40", "--session", self.path("s"), "--json", self.path("b")]):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([COMMAND, *command], stdout=writer, stderr=subprocess.PIPE, env=surroundings(), timeout=60)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (141, b""), command)
        self.assertTrue(json.loads(Path(self.path("a")).read_text())["same_tokens"])
        self.assertEqual(len(json.loads(Path(self.path("b")).read_text())["generated_ids"]), 40)
        _, resumed = self.session_run("s", "--tokens", "1")
        self.assertEqual(resumed["resumed_tokens"], len(resumed["prompt_ids"]))

    def test_streams_that_are_closed_change_nothing_else(self):
        arguments = ["generate", "--cache", "offloaded:block=1,recent=1", "--tokens", "30", "--json", self.path("out.json")]
        wanted = self.json(*arguments[:-2])
        for closed in ((1,), (0,), (2,), (0, 1, 2)):
            Path(self.path("out.json")).unlink()
            done = subprocess.run([COMMAND, *arguments], env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  preexec_fn=lambda: [os.close(stream) for stream in closed])
            self.assertEqual(done.returncode, int(1 in closed))
            self.assertEqual(json.loads(Path(self.path("out.json")).read_text())["text"], wanted["text"])

    def test_outputs_are_tried_before_the_work(self):
        long = ["race", "--tokens", "900", "--repeats", "100000"]
        for option in ("--json", "--csv", "--picture"):
            self.refused("there is no folder", *long, option, self.path("no/x"))
            self.refused("it is a folder; give the name of a file", *long, option, self.folder.name)
        self.refused("or was asked for twice", *long, "--json", self.path("x"), "--csv", self.path("x"))
        self.refused("or was asked for twice", "generate", "--json", self.path("x"), "--session", self.path("x"))
        self.refused("there is no folder", "quality", "--text", __file__, "--json", self.path("no/x"))
        self.refused("File name too long; choose a shorter one", "generate", "--session", "a" * 300)
        self.assertEqual(list(Path(self.folder.name).iterdir()), [])

    def test_a_full_disk_leaves_the_old_file_and_the_other_outputs(self):
        def small():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        Path(self.path("a")).write_text("precious")
        done = subprocess.run([COMMAND, "race", "--tokens", "40", "--repeats", "1", "--json", self.path("a"), "--csv",
                               self.path("b")], capture_output=True, preexec_fn=small, env=surroundings())
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.decode(), f"kvcache: {self.path('a')} could not be written whole: File too large; is the disk full?\n")
        self.assertIn(b"ratio: ", done.stdout)
        self.assertEqual(Path(self.path("a")).read_text(), "precious")
        self.assertEqual(len(Path(self.path("b")).read_text().splitlines()), 41)
        done = subprocess.run([COMMAND, "generate", "--tokens", "300", "--session", self.path("s")], capture_output=True,
                              preexec_fn=small, env=surroundings())
        self.assertEqual(done.returncode, 1)
        self.assertEqual(sorted(p.name for p in Path(self.folder.name).iterdir()), ["a", "b"])

    def test_links_and_modes_of_outputs_stay_and_pipes_are_written(self):
        Path(self.path("real")).write_text("old")
        os.chmod(self.path("real"), 0o600)
        os.symlink("real", self.path("link"))
        self.output("info", "--json", self.path("link"))
        self.assertTrue(Path(self.path("link")).is_symlink())
        self.assertEqual(json.loads(Path(self.path("real")).read_text())["family"], "llama")
        self.assertEqual(os.stat(self.path("real")).st_mode & 0o777, 0o600)
        os.symlink("talk", self.path("session"))
        for known in (0, 9, 11):
            _, done = self.session_run("session", "--tokens", "2")
            self.assertEqual(done["resumed_tokens"], known)
            self.assertEqual(os.readlink(self.path("session")), "talk")
            if known > 0:
                self.assertEqual(os.stat(self.path("talk")).st_mode & 0o777, 0o640)
            os.chmod(self.path("talk"), 0o640)
        printed = self.output("generate", "--tokens", "2", "--json", "/dev/stdout")
        self.assertEqual(len(json.loads(printed[printed.index("{"):])["generated_ids"]), 2)

    # --- what a person does meanwhile
    def read(self, process, count):
        read = b""
        while len(read) < count and (piece := process.stdout.read(count - len(read))):
            read += piece
        return read

    def start(self, *arguments, **options):
        process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=surroundings(), **options)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process, self.read(process, 200)  # it writes now

    def test_ctrl_c_keeps_what_is_there(self):
        for number, name, status in ((signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGHUP, "SIGHUP", 129)):
            Path(self.path("s")).unlink(missing_ok=True)
            process, printed = self.start("generate", *ENDLESS, "--session", self.path("s"), "--json", self.path("out.json"))
            process.send_signal(number)
            rest, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, status, said)
            done = json.loads(Path(self.path("out.json")).read_text())
            written = len(done["generated_ids"])
            self.assertTrue(done["stopped"])
            self.assertEqual((printed + rest).decode(), "To be, or not to be" + done["text"] + "\n")
            self.assertEqual(said.decode(), f"kvcache: stopped by {name} after {written} of 1000000 tokens; the session "
                             f"{self.path('s')} has them\n")
            _, resumed = self.session_run("s", "--tokens", "1")
            self.assertEqual(resumed["prompt_ids"], done["prompt_ids"] + done["generated_ids"])
        process, _ = self.start("generate", *ENDLESS)
        process.send_signal(signal.SIGINT)
        self.assertRegex(process.communicate(timeout=60)[1].decode(), r"^kvcache: stopped by Ctrl-C after \d+ of 1000000 tokens\n$")
        self.assertEqual(sorted(p.name for p in Path(self.folder.name).iterdir()), ["out.json", "s"])

    def test_who_is_to_outlive_the_terminal_does(self):
        process, _ = self.start("generate", *ENDLESS, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        self.assertEqual(len(self.read(process, 2000)), 2000)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)

    def test_two_programs_do_not_lose_each_others_turns(self):
        session = self.path("s")
        self.session_run("s", "--tokens", "3", "--cache", "window:sinks=4,recent=28,positions=shifted")
        os.symlink("s", self.path("link"))
        before = Path(session).read_bytes()
        first, _ = self.start("generate", "--tokens", "1000000", "--session", session)
        for name in ("s", "link"):
            self.refused("is being written by another program", "generate", "--session", self.path(name), "--tokens", "1")
        self.assertEqual(Path(session).read_bytes(), before)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
        _, second = self.session_run("link", "--tokens", "1")
        killed, _ = self.start("generate", "--tokens", "1000000", "--session", session)
        killed.kill()
        killed.communicate()
        _, third = self.session_run("s", "--tokens", "1")  # the dead one's lock went with it
        self.assertEqual(third["resumed_tokens"], second["resumed_tokens"] + 1)
        self.assertEqual(sorted(p.name for p in Path(self.folder.name).iterdir()), ["link", "out.json", "s"])

    def test_a_model_that_is_cut_off_while_it_is_read_is_a_sentence(self):
        model = Path(self.path("model"))
        shutil.copytree(Path(__file__).resolve().parents[2] / "models/tiny", model)
        process, _ = self.start("generate", "--model", str(model), *ENDLESS)
        for weights in model.glob("*.safetensors"):
            os.truncate(weights, 0)
        said = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("a file that is being read has lost bytes (SIGBUS)", said)

    # --- terminals
    def on_a_terminal(self, *arguments):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([COMMAND, *arguments], stdout=theirs, stderr=theirs, env=surroundings())
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the other side is closed
        os.close(ours)
        process.wait()
        return shown

    def test_a_terminal_is_given_no_orders_by_names_and_texts(self):
        evil = "\x1b]0;owned\x07\x1b[31m"
        for arguments in (["generate", "--model", evil], ["race", "--cache", evil], ["generate", "--json", f"no/{evil}/x"],
                          ["quality", "--text", evil], ["generate", "--prompt", "@" + evil], ["plot", evil, "x"]):
            done = run(*arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"\\x1b]0;owned\\x07\\x1b[31m", done.stderr, arguments)
            self.assertNotIn(b"\x1b", done.stderr)
        done = run("generate", "--" + evil)
        self.assertEqual(done.returncode, 2)
        self.assertNotIn(b"\x1b", done.stderr + done.stdout)
        self.assertIn(evil.encode(), run("generate", "--tokens", "1", "--prompt", evil).stdout)  # programs get the very bytes
        shown = self.on_a_terminal("generate", "--tokens", "1", "--prompt", "a\n\tb" + evil)
        self.assertIn(b"a\r\n\tb\\x1b]0;owned\\x07\\x1b[31m", shown)
        self.assertNotIn(b"\x1b]", shown)
        self.assertNotIn(b"\x7f", self.on_a_terminal("tokenize", "a\x7f"))

    # --- what is refused
    def test_numbers_of_threads_beyond_reason_are_refused(self):
        for threads in ("100000", "30000"):
            self.refused(f"{threads} threads asked for", "generate", "--tokens", "1", "--threads", threads)
        done = run("generate", "--tokens", "1", OMP_NUM_THREADS="100000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("100000 threads asked for", done.stderr.decode())

    def test_a_temporary_folder_that_is_missing_is_named(self):
        done = run("generate", "--tokens", "3", "--cache", "offloaded:block=1,recent=1", TMPDIR="/no/such/folder")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no folder for temporary files (/no/such/folder); make it, or set TMPDIR", done.stderr.decode())

    def test_bad_input_gets_a_sentence_and_status_1(self):
        self.refused('model "nowhere": no folder of that name', "race", "--model", "nowhere")
        self.refused('shape "gpt9" is unknown; known are gpt2, gpt2-medium', "race", "--model", "shape:gpt9")
        self.refused('cache "magic" is unknown; known are growing, preallocated, concatenating', "race", "--cache", "magic")
        self.refused('cache "magic" is unknown', "generate", "--cache", "magic")
        self.refused("0 tokens asked for; at least 1 is needed", "generate", "--tokens", "0")
        self.refused("0 tokens asked for; at least 1 is needed", "race", "--tokens", "0")
        self.refused("-3 tokens asked for", "race", "--tokens", "-3")
        self.refused("the prompt is empty", "generate", "--prompt", "")
        self.refused("the prompt is empty", "race", "--prompt", "")
        self.refused("more do not fit in the model's 1024 positions; ask for at most", "generate", "--tokens", "1200")
        self.refused("but the model has positions for 1024; give a shorter prompt", "generate", "--prompt", "word " * 2000)
        self.refused("the text is not UTF-8", "generate", "--prompt", b"caf\xe9")
        self.refused("the text is not UTF-8", "tokenize", b"\xff")
        self.refused("random weights and no tokenizer", "generate", "--model", "shape:gpt2")
        self.refused("temperature is -1", "generate", "--temperature", "-1")
        self.refused("top-p is 0", "generate", "--top-p", "0", "--temperature", "1")
        self.refused("top-k is -1", "generate", "--top-k", "-1")
        self.refused("repetition penalty is 0", "generate", "--repetition-penalty", "0")
        self.refused("--repeats 0: at least 1", "race", "--repeats", "0")
        self.refused("--prompt-tokens 0: at least 1", "race", "--prompt-tokens", "0")
        self.refused("-1 threads asked for", "race", "--threads", "-1")
        self.refused("--budget lots: not a number of bytes", "memory", "--budget", "lots")
        self.refused("--batch 0: at least 1", "memory", "--batch", "0")
        self.refused("--tokens -1: at least 1", "memory", "--tokens", "-1")
        self.refused("no/such/folder/x.json cannot be written: there is no folder no/such/folder; make it first", "generate", "--tokens",
                     "2", "--json", "no/such/folder/x.json")

    def test_a_broken_model_folder_is_named(self):
        folder = Path(self.path("model"))
        folder.mkdir()
        (folder / "config.json").write_text("{")
        self.refused("config.json", "generate", "--model", str(folder))
        (folder / "config.json").write_text('{"model_type": "mamba"}')
        self.refused('model_type \'mamba\' is not supported', "race", "--model", str(folder))

    def test_without_a_gpu_a_run_on_one_is_refused_in_a_sentence(self):
        if "none that can be used" not in self.output("info"):
            self.skipTest("there is a GPU")
        for arguments in (["generate"], ["race"], ["race", "--model", "shape:gpt2-medium"], ["quality", "--text", __file__]):
            self.refused("no GPU can be used: ", *arguments, "--device", "cuda")
        self.refused("--device", "race", "--device", "tpu", status=2)

    def test_a_wrong_command_line_gets_status_2(self):
        self.refused("subcommand is required", status=2)
        self.refused("--wrong", "race", "--wrong", status=2)
        self.refused("--tokens", "race", "--tokens", "many", status=2)
        self.refused("--proof", "race", "--proof", "maybe", status=2)

    def test_help_shows_an_example_of_every_command(self):
        self.assertIn("Example", self.output("--help"))
        for command in ("generate", "race", "memory", "tokenize"):
            self.assertIn("Example", self.output(command, "--help"))
            self.assertIn("kvcache " + command, self.output(command, "--help"))
        self.assertRegex(self.output("--version"), r"^kvcache \d+\.\d+\.\d+\n$")

    def test_nothing_but_the_figures_is_printed_when_the_output_is_no_terminal(self):
        done = run("race", "--tokens", "8", "--repeats", "1")
        self.assertEqual(done.stderr, b"")
        self.assertNotIn(b"\r", done.stdout)


if __name__ == "__main__":
    COMMAND = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
