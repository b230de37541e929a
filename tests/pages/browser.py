"""A Chromium without a window, driven over a pair of pipes by its own protocol (Chrome DevTools Protocol), so that no port
is opened and nothing but Python's library is needed."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

SECONDS = 60  # for one answer; a machine that is busy starts a browser slowly

# How many pixels of a picture are of each colour that is asked for, to within what smoothing does to a line.
COUNT_PIXELS = """async (picture, colours) => {
  const image = new Image();
  image.src = 'data:image/png;base64,' + picture;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const octets = context.getImageData(0, 0, image.width, image.height).data;
  const counts = colours.map(() => 0);
  for (let i = 0; i < octets.length; i += 4)
    colours.forEach(([r, g, b], n) => {
      if (Math.abs(octets[i] - r) + Math.abs(octets[i + 1] - g) + Math.abs(octets[i + 2] - b) < 24) ++counts[n];
    });
  return counts;
}"""


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A browser with one page. What goes wrong in the page is in `complaints`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="runnel_pages_")
        to_read, self.output = os.pipe()
        self.input, to_write = os.pipe()
        # Far from 3 and 4, which the browser reads from and writes to.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_read, to_write)]
        os.close(to_read)
        os.close(to_write)

        def join():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [
                *(program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
                *(f"--user-data-dir={self.folder}", "--remote-debugging-pipe", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=join,
            start_new_session=True,
        )
        for end in ends:
            os.close(end)
        self.number, self.buffer, self.events, self.session = 0, b"", [], None
        self.complaints = []
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)  # it has a session of its own
            self.process.wait(10)
        os.close(self.output)
        os.close(self.input)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the protocol: JSON, each message ended by a zero octet

    def message(self, end):
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.input], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.input, 1 << 20)
            if not part:
                raise RuntimeError(f"the browser has ended, with status {self.process.wait(10)}")
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def hear(self, message):
        method, what = message["method"], message.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {what['exceptionDetails']}")
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console: {what['args']}")
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"log: {what['entry']}")
        elif method == "Network.requestWillBeSent" and not what["request"]["url"].startswith(("file:", "data:")):
            self.complaints.append(f"loads {what['request']['url']}")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            answer = self.message(end)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.hear(answer)

    def wait_for(self, event):
        end = time.monotonic() + SECONDS
        while event not in self.events:
            message = self.message(end)
            if "method" in message:
                self.hear(message)

    # -- the page

    def open(self, file, width, height, dark):
        """Shows a file in a window of that size, with the colours that a reader prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.events.clear()
        self.call("Page.navigate", url=f"file://{file}")
        self.wait_for("Page.loadEventFired")

    def value(self, expression, *arguments):
        """What an expression of JavaScript has for a value; with arguments it is a function that is called with them."""
        if arguments:
            expression = f"({expression})({', '.join(map(json.dumps, arguments))})"
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:200]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, box=None):
        """A PNG of the page, or of a box {x, y, width, height} on it, in base64."""
        clip = {"clip": {**box, "scale": 1}} if box else {}
        return self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)["data"]

    def save(self, file):
        size = self.value("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        file.write_bytes(base64.b64decode(self.picture({"x": 0, "y": 0, "width": size[0], "height": size[1]})))

    def pixels(self, box, colours):
        """How many pixels of each colour (r, g, b) the page shows within a box."""
        return self.value(COUNT_PIXELS, self.picture(box), colours)

    def point_at(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
