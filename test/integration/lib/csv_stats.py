"""HAProxy's statistics as CSV: {(proxy, server): {column: text}}."""
import csv
import io


def header(text):
    line = text.split("\n", 1)[0]
    assert line.startswith("# ") and line.endswith(",")
    return line[2:-1].split(",")


def rows(text):
    """Each row has as many cells as there are columns."""
    columns = header(text)
    found = {}
    for cells in csv.reader(io.StringIO(text.split("\n", 1)[1])):
        if cells:
            assert len(cells) == len(columns) + 1 and cells[-1] == "", cells
            row = dict(zip(columns, cells))
            assert (row["pxname"], row["svname"]) not in found
            found[row["pxname"], row["svname"]] = row
    return found
