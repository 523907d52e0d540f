"""The closing line of .ci/run: adds up pytest's reports. Arguments: the folder with the reports,
the stages that failed. Exits 1 if anything did."""
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
    for reason in sorted(reasons):
        print(f"skipped: {reason}")
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
