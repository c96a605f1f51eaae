"""The checker finds what must not stand in a dialplan, and nothing in what Murima ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialplan.checker import check

STATIC = Path(__file__).parents[2] / "dialplan/static/extensions.conf"


def rules(text: str, **options: object) -> set[str]:
    return {finding.rule for finding in check(text, **options)}  # type: ignore[arg-type]


def test_what_is_shipped_is_clean():
    assert check(STATIC.read_text(), known=("murima-fallback",)) == []


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ("System(rm -rf /)", "application"),
        ("ExecIf($[1]?System(x))", "application"),
        ("AGI(x.py)", "application"),
        ("Set(X=${SHELL(id)})", "function"),
        ("Set(X=${CURL(http://x)})", "function"),
        ("Set(FILE(/etc/x)=1)", "function"),
        ("Dial(PJSIP/${EXTEN})", "unfiltered"),
        ("Set(X=${CALLERID(num)})", "unfiltered"),
        ("Set(X=${FILTER(0-9,${EXTEN})}${EXTEN})", "unfiltered"),
        ("Set(X=${PJSIP_HEADER(read,From)})", "unfiltered"),
        ("Goto(nowhere,s,1)", "goto"),
        ("Goto(20261225,1)", "goto"),
        ("GotoIf($[1 > 0]?open,1)", "goto"),
        ("Goto(${MURIMA_CLOCK:0:8},1)", "goto"),
        ("GotoIf(${DIALPLAN_EXISTS(b,${X},1)}?${X},1)", "goto"),
        ("GotoIf(${DIALPLAN_EXISTS(a,${Y},1)}?${X},1)", "goto"),
        ("GotoIf($[1]?b,${X},1)", "goto"),
        ("Set(X=${STRFTIME(,Mars/Olympus,%H%M)})", "zone"),
        ("Set(X=${STRFTIME(,${ZONE},%H%M)})", "zone"),
    ],
)
def test_a_bad_step_is_found(step, rule):
    assert rule in rules(f"[a]\nexten => s,1,{step}\n")
    assert rule in rules(f"[a]\nexten => s,1,NoOp()\n same => n,{step}\n")


@pytest.mark.parametrize("pattern", ["_.", "_X.", "_!", "_+X!", "_9."])
def test_open_patterns_are_refused_where_outsiders_enter(pattern):
    text = f"[murima-trunk]\nexten => {pattern},1,NoOp()\n"
    assert rules(text) == {"pattern"}
    assert rules(text.replace("murima-trunk", "inside")) == set()


def test_filtered_input_and_comments_pass():
    assert check("[a]\n; System(x) ${EXTEN}\nexten => s,1,Set(X=${FILTER(0-9,${EXTEN})})\n") == []


def test_a_computed_target_that_was_asked_for_and_a_known_zone_pass():
    steps = "GotoIf(${DIALPLAN_EXISTS(a,${X},1)}?${X},1)\n same => n,Goto(s,1)"
    assert check(f"[a]\nexten => s,1,{steps}\n same => n,Set(X=${{STRFTIME(,Europe/Berlin,%H)}})\n") == []


def test_exec_and_foreign_names_in_generated_files():
    assert rules("#exec /bin/x\n") == {"exec"}
    assert rules("[murima-gate]\n", generated=True) == {"name"}
