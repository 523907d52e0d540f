"""Compares how long the stages of .ci/run took with the table in test/README.md, which promises it
to whoever waits. Arguments: the README, a file with a line "STAGE<tab>SECONDS" for each stage, and
one for the whole, because stages run side by side.

A machine may be busy, so only a stage that took more than twice its time and a minute fails; so
does one that the table does not have, and a whole that takes longer than the project allows."""
import re
import sys

WHOLE = 50 * 60


def read_table(path):
    """{stage: seconds}: the rows "| `stage` | seconds |" of the file."""
    with open(path, encoding="utf-8") as file:
        rows = re.findall(r"^\| `([^`]+)` \| (\d+) \|", file.read(), re.MULTILINE)
    return {name: int(seconds) for name, seconds in rows}


def judge(told, took):
    """The complaints, a line each."""
    wrong = []
    whole = took.pop("whole")
    for name, seconds in took.items():
        if name not in told:
            wrong.append(f"test/README.md does not say how long `{name}` takes: {seconds} s")
        elif seconds > 2 * told[name] + 60:
            wrong.append(f"`{name}` took {seconds} s, test/README.md says {told[name]} s")
    if whole > WHOLE:
        wrong.append(f"the whole took {whole} s: more than {WHOLE} s")
    return wrong


def main(readme, times):
    with open(times, encoding="utf-8") as file:
        took = dict(line.rstrip("\n").split("\t") for line in file)
    wrong = judge(read_table(readme), {name: int(seconds) for name, seconds in took.items()})
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
