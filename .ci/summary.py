"""The closing line of .ci/run: adds up pytest's reports. Arguments: the folder with the reports,
the stages that failed. Exits 1 if anything did. A file STAGE.unstable has the names of the tests
that failed and then passed (test/integration/lib/rerun.py)."""
import glob
import os
import sys
import xml.etree.ElementTree as xml


def main(folder, *failed_stages):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    reasons = set()
    named = set()  # stages whose failure is told by a failed test
    for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
        for suite in xml.parse(path).getroot().iter("testsuite"):
            bad = int(suite.get("failures")) + int(suite.get("errors"))
            skipped = int(suite.get("skipped"))
            count["failed"] += bad
            count["skipped"] += skipped
            reasons.update(case.get("message") for case in suite.iter("skipped"))
            count["passed"] += int(suite.get("tests")) - bad - skipped
            if bad:
                named.add(os.path.basename(path)[:-len(".xml")])
    count["failed"] += len(set(failed_stages) - named)
    for path in sorted(glob.glob(os.path.join(folder, "*.unstable"))):
        with open(path, encoding="utf-8") as file:
            for name in file:
                print(f"unstable: {name.rstrip()} ({os.path.basename(path)[:-len('.unstable')]})")
    for reason in sorted(reasons):
        print(f"skipped: {reason}")
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
