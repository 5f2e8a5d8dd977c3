"""Progress for people: bars on a terminal, plain lines elsewhere, one every two seconds at most."""

import io

from tillbridge.cli.screen import PlainProgress, Screen
from tillbridge.cli.words import counted, plain, several


class Ticks:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def plain_progress():
    lines, ticks = [], Ticks()
    return PlainProgress(lines.append, ticks), lines, ticks


def test_a_plain_bar_speaks_at_its_start_and_end():
    progress, lines, _ = plain_progress()
    progress.bar("Sales").close()
    assert ["Sales: started", "Sales: done (0.0 s)"] == lines


def test_a_plain_bar_speaks_at_most_every_two_seconds():
    progress, lines, ticks = plain_progress()
    bar = progress.bar("Sales", 1_000)
    for _ in range(20):
        ticks.seconds += 0.25
        bar.advance(50)
    bar.close()
    assert [
        "Sales: started",
        "Sales: 400 of 1,000",
        "Sales: 800 of 1,000",
        "Sales: done (1,000 of 1,000, 5.0 s)",
    ] == lines


def test_closing_twice_says_it_once():
    progress, lines, _ = plain_progress()
    bar = progress.bar("Sales")
    bar.close()
    bar.close()
    assert 2 == len(lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_bars(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    err = Terminal()
    with Screen(io.StringIO(), err).progress() as progress:
        bar = progress.bar("Sales from the till", 200)
        bar.advance(150)
        bar.close()
        progress.say("something to know")
    shown = err.getvalue()
    assert "Sales from the till" in shown
    assert "✓" in shown
    assert "something to know" in shown


def test_stdout_belongs_to_the_document():
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.only_json(True)
    screen.result.print("for people")
    screen.document({"a": 1})
    assert ('{\n  "a": 1\n}\n', "for people\n") == (out.getvalue(), err.getvalue())


def test_what_a_remote_says_cannot_steer_the_terminal():
    assert "red [31m text" == plain("red\x1b[31m\ntext").replace("  ", " ")


def test_counts_read_as_words():
    assert "1 call" == several(1, "call")
    assert "1,200 calls" == several(1_200, "call")
    assert "2 created, 1 refused" == counted({"refused": 1, "created": 2, "people created": 7})
    assert "nothing to do" == counted({})
