"""A headless Chromium, driven by the DevTools protocol over a pipe (JSON, each message ended by
NUL): no port, no library. Records every request a page makes and every complaint on its console."""
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from lib.waiting import SLOW

BINARY = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe"]

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
        "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "/": 191}


def high_pipe():
    """A pipe whose ends are not 3 or 4, where the browser expects its own."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends)
    for fd in ends:
        os.close(fd)
    return high


class Browser:
    def __init__(self, width=1200, height=900):
        self.profile = tempfile.mkdtemp(prefix="router-browser-")
        self.requests = []      # addresses asked for by the page
        self.complaints = []    # console errors, exceptions, violations of the policy
        self.loads = 0          # pages that were loaded
        self.count = 0
        self.buffer = b""
        self.answers = {}
        to_child, self.write_fd = high_pipe()
        self.read_fd, from_child = high_pipe()
        # bash, because dash knows descriptors of one digit only.
        command = ["setpriv", "--pdeathsig", "KILL", "bash", "-c",
                   f'exec "$@" 3<&{to_child} 4>&{from_child}', "bash", BINARY, *FLAGS,
                   f"--user-data-dir={self.profile}", f"--window-size={width},{height}",
                   "about:blank"]
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, pass_fds=(to_child, from_child),
                                      start_new_session=True)
        os.close(to_child)
        os.close(from_child)
        try:
            self._attach(width, height)
        except BaseException:
            self.close()
            raise

    def _attach(self, width, height):
        self.session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.resize(width, height)

    def resize(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)

    def prefer(self, scheme):
        """What the system has: "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def _receive(self, timeout):
        """One message, or None when the time is over."""
        while b"\0" not in self.buffer:
            if not select.select([self.read_fd], [], [], max(0, timeout))[0]:
                return None
            data = os.read(self.read_fd, 65536)
            assert data, "the browser ended"
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if "id" in message:
            self.answers[message["id"]] = message
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])

    def call(self, method, **params):
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 20 * SLOW
        while number not in self.answers:
            got = self._receive(deadline - time.monotonic())
            assert got is not None, f"the browser does not answer {method}"
            self._note(got)
        answer = self.answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url):
        """Until the new page is there: what is asked next is asked of it, not of the old one."""
        loads = self.loads
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 20 * SLOW
        while self.loads == loads:
            got = self._receive(deadline - time.monotonic())
            assert got is not None, f"the browser does not load {url}"
            self._note(got)

    def press(self, key, text=""):
        """A key as a keyboard sends it: "ArrowDown", "Tab", or a letter."""
        code = KEYS.get(key, ord(key[0].upper()))
        text = text or ("\r" if key == "Enter" else key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, code=key,
                  windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key,
                  windowsVirtualKeyCode=code)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def evaluate(self, expression):
        """Its value; of a promise, once it is there."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self):
        """What a person reads."""
        return self.evaluate("document.body ? document.body.innerText : ''")

    def close(self):
        for fd in (self.write_fd, self.read_fd):
            os.close(fd)
        try:
            self.popen.wait(5)      # it ends when its pipe does
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)   # its own session: only its children
        except ProcessLookupError:
            pass
        self.popen.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
