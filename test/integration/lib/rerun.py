"""For .ci/run: an integration test that fails is run once more by itself, and what passes then is
told as unstable instead of failing the whole; see test/README.md for what that is good for.

ROUTER_UNSTABLE names the file that takes the names; without it nothing here does anything. What
must not happen even once is reported to unforgivable(), and such a test keeps its failure."""
import contextlib
import os

from _pytest.runner import runtestprotocol

FILE = os.environ.get("ROUTER_UNSTABLE")
AT_MOST = 5  # tests of a session that are run again; those that fail beyond are failures

_sins = []      # of the test that runs
_unstable = {}  # {name of a test: how it failed first}
_again = 0


@contextlib.contextmanager
def unforgivable():
    """Whatever fails inside is never run again."""
    try:
        yield
    except BaseException as error:
        _sins.append(str(error))
        raise


def protocol(item, nextitem):
    """pytest_runtest_protocol of a test that may be run again."""
    if not FILE:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item, nextitem):
    """Those of the run that counts. Of two failures that is the first."""
    global _again
    _sins.clear()
    first = runtestprotocol(item, nextitem=nextitem, log=False)
    wrong = [report for report in first if report.failed]
    if not wrong or _sins or _again >= AT_MOST:
        return first
    _again += 1
    _forget_failed_fixtures(item)
    second = runtestprotocol(item, nextitem=nextitem, log=False)
    if _sins or any(report.failed for report in second):
        for report in wrong:
            report.sections.append(("Run again", _text(second)))
        return first
    _unstable[item.nodeid] = _text(wrong)
    with open(FILE, "a", encoding="utf-8") as file:
        file.write(item.nodeid.replace("\n", " ") + "\n")
    return second


def _text(reports):
    parts = [f"{report.when}: {report.longreprtext}" for report in reports if report.failed]
    return "\n".join(parts)


def _forget_failed_fixtures(item):
    """One of a wider scope would fail with the same exception again, without being tried."""
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            if definition.cached_result and definition.cached_result[2] is not None:
                definition.cached_result = None


def terminal_summary(terminal):
    """pytest_terminal_summary: how the unstable ones failed."""
    for name, text in _unstable.items():
        terminal.section(f"unstable: {name}")
        terminal.write_line(text)
