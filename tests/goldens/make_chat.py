#!/usr/bin/env python3
"""Writes chat.json: small templates in the Jinja language, and what Jinja itself makes of them in each of the runs, set
up as transformers sets it up. What Jinja refuses is null.

Needs the PyPI package jinja2 (version: README.md).
Usage: python make_chat.py [output folder; this script's folder when absent]

The templates are written for this file. They use what the templates of well-known models use, and in the same way.
"""

import json
import sys
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

QUESTION = [{"role": "user", "content": "  Who? é\n"}]
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nI."}, {"role": "user", "content": " And when? "}]
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}

CHATS = {
    # Default system messages, where there is none.
    "chatml with a default": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are helpful.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}""",
    "chatml, tools and two branches": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are someone, made by somebody.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "chatml, thoughts are left out": """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "chatml with a separator": "{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') %}{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}",
    "headers, trimmed": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
    "headers with a date": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message always comes, perhaps with nothing but the date. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "roles take turns": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.tool_calls is defined) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must take turns") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- else %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
""",
    "no system role": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    "a macro": """{%- macro say(role, content, end='<|end|>') -%}
    {{- '<|' ~ role ~ '|>\n' ~ content|trim ~ end ~ '\n' -}}
{%- endmacro -%}
{%- for m in messages -%}
    {{- say(m.role, m.content) if m.role != 'system' else say('sys', m.content, end='<|stop|>') -}}
{%- endfor -%}
{{- '<|assistant|>\n' if add_generation_prompt else eos_token -}}""",
    "joined and dropped": "{% set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | join(' ') %}{{ system | default('none', true) }}|{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}:{{ m.content | trim }}{{ ', ' if not loop.last }}{% else %}nothing{% endfor %}",
    "thoughts cut off": "{{bos_token}}{% for message in messages %}{% if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<A>' + content + eos_token}}{% elif message['role'] == 'user' %}{{'<U>' + message['content']}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{'<A><think>\\n'}}{% endif %}",
    "a part for training": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
}

SMALL = [
    # White space.
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n   {% if true %}  b {% endif %}  \nc", "a {%- if true -%} b {%- endif -%} c",
    "  {{ 'x' }}\n  y\n\n", "a\n  {# said #}\nb", "a {#- said -#} b", "{%+ if true %}a{% endif %}", "  {%+ if true %}a\n{% endif +%}\nb",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}", "{{ 'a' -}}   \n  b", "x\n\t{%- set a = 1 %}\n{{ a }}", "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}",
    "a{% set x %}\n in {{ 1 + 1 }}\n{% endset %}b{{ x }}", "{{ '\\n' }}{{ \"\\t'\\\"\\x41\\u00e9\\\\ \\q\" }}", "{{ 'a' 'b' }}", "{{ {'a': {'b': 1}}['a']['b'] }}",
    # Values and signs.
    "{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ 7 / 2 }} {{ 7 % 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }}", "{{ 1.5 + 1 }} {{ 'a' ~ 1 ~ none ~ true }}",
    "{{ [1, 'a', none, {'b': false}] }}", "{{ true and 'a' or 'b' }}{{ '' or 'c' }}{{ not '' }}{{ not true and true }}",
    "{{ 1 < 2 }} {{ 'a' < 'b' }} {{ 2 >= 3 }} {{ 1 == 1.0 }} {{ 'a' != 'b' }} {{ none == false }}", "{{ 'b' in 'abc' }} {{ 'b' not in ['b'] }} {{ 'k' in {'k': 1} }}",
    "{{ 'a' if false }}|{{ 'a' if false else 'b' if false else 'c' }}|{{ ('x' if true else 'y') ~ 'z' }}", "{{ (1, 2)[1] }}{{ (3,)[0] }}{{ [1, 2, 3][-1] }}{{ 'abc'[1] }}{{ 'éa'[0] }}",
    "{{ 'abcdef'[1:3] }}{{ 'abc'[::-1] }}{{ [1, 2, 3][:-1] }}{{ [1, 2, 3][5:] }}{{ 'abcdef'[::2] }}{{ 'abc'[-2:] }}",
    "{{ missing }}|{{ missing is defined }}|{{ messages[0].nothing }}|{{ messages[9] is undefined }}",
    "{{ '%' }}{{ '}}' }}{{ '{%' }}{% if '%}' == '%}' %}ok{% endif %}", "{{ not none is none }}{{ 1 is number }}{{ 'a' is string }}{{ {} is mapping }}{{ [] is iterable }}{{ true is boolean }}{{ 3 is odd }}{{ 1 is not none }}",
    # Methods and filters.
    "{{ '  a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xya'.lstrip('yx') }}|{{ 'a\n'.rstrip() }}|{{ '\u3000a\x1c' | trim }}|",
    "{{ 'a,b,c'.split(',') }}{{ 'a  b c'.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}", "{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'aB'.upper() }}{{ 'aB'.lower() }}{{ 'aBC'.capitalize() }}",
    "{{ 'aXbX'.replace('X', '-') }}{{ 'abc'.find('c') }}{{ ', '.join(['a', 'b']) }}", "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{{ {'a': 1}.get('b', 5) }}{{ {'a': 1}.keys() | list }}{{ {'a': 1} | items | list | length }}",
    "{{ [3, 1] | length }}{{ 'éa' | length }}{{ [1, 2] | first }}{{ [1, 2] | last }}{{ [1, 2] | join('-') }}{{ 'a' | upper }}{{ 'a' | default('b') }}{{ x | default('b') }}{{ '' | d('e', true) }}",
    "{{ {'a': [1, 'é', none, true]} | tojson }}{{ 'a\"b' | tojson }}{{ [] | tojson }}{{ {} | tojson }}", "{{ {'a': [1]} | tojson(indent=2) }}", "{{ '12' | int + 1 }}{{ 5 | string ~ 'x' }}{{ [1, 2] | reverse | list }}{{ [0, 1, 2] | select | list }}{{ [1, 2, 3] | reject('odd') | list }}",
    "{{ messages | map(attribute='role') | join(',') }}{{ ['a', 'b'] | map('upper') | join }}{{ messages | rejectattr('role', 'in', ['user']) | list | length }}",
    "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(1, 8, 3) %}{{ i }}{% endfor %}{{ range(2) | list }}",
    # Loops and scopes.
    "{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}.", "{% for i in [] %}x{% else %}none{% endfor %}{% for i in missing %}x{% endfor %}",
    "{% for i in [1, 2] %}{% if i == 1 %}{% continue %}{% endif %}{% for j in [3] %}{{ j }}{% endfor %}{{ i }}{% endfor %}.",
    "{% for i in [1, 2] %}{% for j in [3, 4] %}{{ j }}{% if i == 1 %}{% break %}{% for k in [5] %}{% endfor %}{% endif %}{% endfor %}{{ i }}{% endfor %}.",
    "{% set a = 1 %}{% for i in [1, 2] %}{% set a = a + i %}{{ a }}{% endfor %}{{ a }}", "{% set n = namespace(a=1) %}{% for i in [1, 2] %}{% set n.a = n.a + i %}{% endfor %}{{ n.a }}", "{% if true %}{% set a = 2 %}{% endif %}{{ a }}",
    "{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.index }}{% if j == 3 %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{{ loop.first }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}",
    "{% for c in 'aé' %}{{ c }}.{% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}{% for i in [1, 2, 3] if i != 2 %}{{ loop.revindex }}{{ i }}{% endfor %}",
    "{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=4, a=5) }}{{ f() }}", "{% if missing %}{{ missing.x.y }}{% elif 1 %}b{% else %}c{% endif %}",
    # Refused.
    "{{ missing.x.y }}", "{{ 'a' + 1 }}", "{{ missing + 'a' }}", "{{ raise_exception('no') }}", "{% if true %}", "{{ 'a }}", "{{ 1 + }}", "{% endfor %}", "{{ none | length }}", "{{ 1 < 'a' }}", "{{ 1 / 0 }}", "{% for a, b in [1] %}{% endfor %}",
]


class Training(loopcontrols):
    """{% generation %}, which transformers knows: it marks answers and writes what stands in it."""
    tags = {"break", "continue", "generation"}

    def parse(self, parser):
        if parser.stream.current.value != "generation":
            return super().parse(parser)
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(message):
    raise TemplateError(message)


def render(template, messages, answers):
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Training])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template).render(messages=messages, tools=None, documents=None,
                                                        add_generation_prompt=answers, **VARIABLES)
    except (TemplateError, TypeError, ZeroDivisionError):
        return None


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    templates = [{"name": name, "template": template} for name, template in CHATS.items()]
    templates += [{"name": template, "template": template} for template in SMALL]
    runs = [{"messages": messages, "answers": answers} for messages in (TALK, QUESTION) for answers in (True, False)]
    for each in templates:  # of the small ones the first run alone
        each["texts"] = [render(each["template"], **run) for run in (runs if each["name"] in CHATS else runs[:1])]
    written = {"variables": VARIABLES, "runs": runs, "templates": templates}
    (folder / "chat.json").write_text(json.dumps(written, indent=1) + "\n")
    print(len(templates), "templates")


if __name__ == "__main__":
    main()
