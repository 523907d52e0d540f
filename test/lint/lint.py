"""The house rules a compiler does not know (`make lint`). Prints FILE:LINE: words for each offence
and exits 1 if there is one. Each rule has a planted offender in test_lint.py."""
import argparse
import os
import re
import sys

from csource import Source

FUNCTION_LINES = 60
FILE_LINES = 500
NESTING = 3
COLUMNS = 100
UMBRELLA = 12  # project headers one header may include

LAYERS = {  # layer: what it may include
    "base": {"base"},
    "net": {"base", "net"},
    "model": {"base", "model"},
    "proto": {"base", "proto"},
    "import": {"base", "model", "import"},
    "core": {"base", "net", "model", "proto", "core"},
    "ctl": {"base", "net", "model", "proto", "ctl"},
    "routerctl": {"base", "routerctl"},  # a program of its own
}
# The files directly in src/ (router.c ...) stand above all layers, main.c above them.
EXCEPTIONS = {
    ("proto", "model/observation.h"),  # plain data: what a probe learnt
    ("proto", "model/greeting.h"),  # the same
    ("proto", "router_proto.h"),
    ("core", "router_proto.h"),
    ("ctl", "router_proto.h"),
    ("ctl", "router.h"),  # ROUTER_VERSION
    ("model", "router_proto.h"),
    ("routerctl", "router.h"),
    ("model", "proto/proto.h"),  # only config*.c, see below
}
ONLY_IN = {  # call prefix: where alone it may stand, and the rule
    "uv_async_send": (r"src/net/mailbox\.c", "only mailbox_post() sends"),
    "uv_getaddrinfo": (r"src/ctl/resolve\.c", "only ctl/resolve.c looks up names"),
    "getaddrinfo": (r"src/ctl/resolve\.c", "only ctl/resolve.c looks up names"),
    "getnameinfo": (r"src/ctl/resolve\.c", "only ctl/resolve.c looks up names"),
    "uv_timer_": (r"src/(net|ctl)/.*", "timers live in net/ and ctl/; use net/deadline.h"),
}
NEVER = {"strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "alloca"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\W*#\d)")
TEXT_FILES = (".c", ".h", ".def", ".py", ".ini", ".md", ".html", ".css", ".js", ".sh",
              "Makefile", "run", "need")
CODE_FILES = (".c", ".h", ".def", ".py", ".html", ".css", ".js")


class Linter:
    def __init__(self, root):
        self.root = root
        self.found = []

    def say(self, path, line, words):
        self.found.append((path, line, words))

    def run(self):
        for path in sorted(self._files()):
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                text = file.read()
            self._text(path, text)
            if path.endswith((".c", ".h")):
                self._c(path, Source(text))
        return self.found

    def _files(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in ("build", ".git", "__pycache__")]
            for name in names:
                if name.endswith(TEXT_FILES):
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def _text(self, path, text):
        lines = text.split("\n")
        if path.endswith(CODE_FILES) and len(lines) - 1 > FILE_LINES:
            self.say(path, FILE_LINES + 1, f"{len(lines) - 1} lines, more than {FILE_LINES}")
        for number, line in enumerate(lines, 1):
            if path.endswith((".c", ".h", ".def", ".py")) and len(line) > COLUMNS:
                self.say(path, number, f"{len(line)} columns, more than {COLUMNS}")
            if path.startswith("test/lint/"):
                continue  # it must name what it looks for
            if UNFINISHED.search(line):
                self.say(path, number, "unfinished, and no issue (#1) named")

    def _c(self, path, source):
        for function in source.functions:
            if function.lines > FUNCTION_LINES:
                self.say(path, function.first, f"{function.name}() has {function.lines} lines, "
                                               f"more than {FUNCTION_LINES}")
            if function.deepest > NESTING:
                self.say(path, function.deepest_line,
                         f"{function.name}() nests {function.deepest} deep, more than {NESTING}")
        self._calls(path, source)
        self._includes(path, source)
        if path.startswith(("src/", "include/")):
            self._typedefs(path, source)

    def _calls(self, path, source):
        for token, behind in zip(source.tokens, source.tokens[1:]):
            if token.kind != "name" or behind.text != "(":
                continue
            if token.text in NEVER:
                self.say(path, token.line, f"{token.text}() is forbidden")
            if not path.startswith(("src/", "include/")):
                continue
            for prefix, (where, rule) in ONLY_IN.items():
                if token.text.startswith(prefix) and not re.fullmatch(where, path):
                    self.say(path, token.line, f"{token.text}(): {rule}")

    def _typedefs(self, path, source):
        for token, behind in zip(source.tokens, source.tokens[1:]):
            if token.text == "typedef" and behind.text in ("struct", "union", "enum"):
                self.say(path, token.line, f"typedef of a {behind.text}")

    def _includes(self, path, source):
        project = [include for include in source.includes if include[2]]
        if path.endswith(".h") and (len(project) > UMBRELLA or (project and not source.tokens)):
            self.say(path, 1, "an umbrella header")
        parts = path.split("/")
        if parts[0] == "include":
            self._public_includes(path, project)
        elif parts[0] == "src" and len(parts) > 2:
            self._layer_includes(path, parts[1], project)
        elif path == "src/main.c":
            self._main_includes(path, project)

    def _public_includes(self, path, project):
        for line, name, _ in project:
            self.say(path, line, f"a public header includes {name}")

    def _main_includes(self, path, project):
        """main.c is what an embedding program could be: router.h and the configuration."""
        for line, name, _ in project:
            if name.split("/")[0] in ("core", "ctl", "net", "proto"):
                self.say(path, line, f"main.c includes {name}; go through router.h")

    def _layer_includes(self, path, layer, project):
        if layer not in LAYERS:
            self.say(path, 1, f"{layer}/ is not a layer; add it to test/lint/lint.py")
            return
        for line, name, _ in project:
            if "/" in name and name.split("/")[0] in LAYERS[layer]:
                continue
            if (layer, name) == ("model", "proto/proto.h") and "/config" not in path:
                self.say(path, line, "only model/config*.c may include proto/proto.h")
            elif (layer, name) not in EXCEPTIONS:
                self.say(path, line, f"{layer}/ must not include {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=".")
    found = Linter(parser.parse_args().root).run()
    for path, line, words in found:
        print(f"{path}:{line}: {words}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
