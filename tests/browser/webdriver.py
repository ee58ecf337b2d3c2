"""A headless Chromium to look at pages with, driven through chromedriver (W3C WebDriver). Needs
nothing but Python's own library."""

import json
import re
import subprocess
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "End": "\ue010", "Home": "\ue011",
        "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
PATIENCE = 900  # seconds after which a browser hangs, however busy the machine is


class Browser:
    def __init__(self, width=1500, height=1000):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        try:
            self.base = self._address()
            self.session = ""
            options = {"args": FLAGS + [f"--window-size={width},{height}"]}
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "timeouts": {"script": 1000 * PATIENCE, "pageLoad": 1000 * PATIENCE},
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = "/session/" + answer["sessionId"]
        except BaseException:
            self.driver.kill()
            raise

    def _address(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return "http://127.0.0.1:" + found.group(1)
        raise RuntimeError("chromedriver did not start")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def close(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()

    def open(self, path):
        self._call("POST", self.session + "/url", {"url": "file://" + path})

    def console(self):
        """What the page said since the last call."""
        return [entry["message"] for entry in
                self._call("POST", self.session + "/se/log", {"type": "browser"})]

    def run(self, script, *arguments):
        return self._call("POST", self.session + "/execute/sync",
                          {"script": script, "args": list(arguments)})

    def settle(self, value="true"):
        """A value in the page once two frames are drawn: what was scrolled says so with the next one,
        and hides the card."""
        return self.run(f"""return new Promise(done => requestAnimationFrame(() =>
            requestAnimationFrame(() => done({value}))));""")

    def find(self, selector):
        element = self._call("POST", self.session + "/element",
                             {"using": "css selector", "value": selector})
        return element[ELEMENT]

    def _pointer(self, *actions):
        self.settle()
        self._call("POST", self.session + "/actions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
             "actions": list(actions)}]})

    def hover(self, selector):
        self._pointer({"type": "pointerMove", "duration": 0, "x": 0, "y": 0,
                       "origin": {ELEMENT: self.find(selector)}})

    def click(self, selector):
        self.hover(selector)
        self._pointer({"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def press(self, *names):
        self.settle()
        keys = [KEYS.get(name, name) for name in names]
        self._call("POST", self.session + "/actions", {"actions": [
            {"type": "key", "id": "keys", "actions": [
                {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}]})

    def emulate(self, media="", scheme=""):
        """The medium ("print") and colour scheme ("dark") that style sheets ask for."""
        self._call("POST", self.session + "/goog/cdp/execute", {
            "cmd": "Emulation.setEmulatedMedia", "params": {
                "media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}})

    def screenshot(self):
        return self._call("GET", self.session + "/screenshot")

    def print(self):
        return self._call("POST", self.session + "/print", {"orientation": "landscape"})
