"""Open pages in a headless Chromium: no error on the console, every picture there, every link to a file that is there.

    python docs/look.py docs/_build            # every page below a folder
    python docs/look.py results/index.html     # or one page

One browser opens them all, one after the other in a frame of a driver page, and what it finds is read off that page.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ERROR = re.compile(r"uncaught|error|failed|refused", re.IGNORECASE)
DRIVER = """<!doctype html><meta charset="utf-8"><pre id="found"></pre><script>
const pages = PAGES, found = [];
const wait = ms => new Promise(done => setTimeout(done, ms));
async function look(page) {
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.style.cssText = "width: 1300px; height: 900px";
  await new Promise(done => { frame.onload = done; frame.src = page; });
  await wait(50);
  const inside = frame.contentDocument;
  for (const image of inside.images) {
    image.loading = "eager";
    for (let i = 0; i < 100 && !image.complete; i++) await wait(20);
    if (!image.naturalWidth) found.push([page, "picture " + image.getAttribute("src")]);
  }
  const links = [...inside.querySelectorAll("a[href]")].map(link => link.href).filter(to => to.startsWith("file:"));
  for (const link of new Set(links)) found.push([page, "link " + link]);
  frame.remove();
}
(async () => {
  for (const page of pages) await look(page);
  document.getElementById("found").textContent = JSON.stringify(found);
  document.title = "done";
})();
</script>"""


def look(pages: list[Path], browser: str) -> list[str]:
    """What is wrong with pages, a line each."""
    with tempfile.TemporaryDirectory() as folder:
        driver = Path(folder) / "driver.html"
        driver.write_text(DRIVER.replace("PAGES", json.dumps([page.as_uri() for page in pages])), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
        options += [f"--user-data-dir={folder}/profile", "--enable-logging=stderr", "--virtual-time-budget=600000"]
        done = subprocess.run([browser, *options, driver.as_uri()], capture_output=True, text=True, timeout=300)
    answer = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    if not answer:
        return [f"{browser} did not get through {len(pages)} pages: {done.stderr[-1000:]}"]
    # the log doesn't tell an error from a warning but by its words
    wrong = [line for line in done.stderr.splitlines() if "CONSOLE" in line and ERROR.search(line)]
    for page, what in json.loads(html.unescape(answer[1])):
        kind, _, to = what.partition(" ")
        if kind == "picture" or not _there(to):
            wrong.append(f"{page}: {what}")
    return wrong


def _there(link: str) -> bool:
    """Whether a link to a file, and to a place in it, leads anywhere."""
    parts = urlparse(link)
    path = Path(unquote(parts.path))
    if not path.exists():
        return False
    place = unquote(parts.fragment)
    return not place or path.suffix != ".html" or f'id="{place}"' in html.unescape(path.read_text(encoding="utf-8"))


def main(given: str) -> int:
    """Look at a folder's pages, or one; return how many things are wrong."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no browser ({', '.join(BROWSERS)}): pages were not looked at")
        return 0
    root = Path(given).resolve()
    pages = sorted(root.rglob("*.html")) if root.is_dir() else [root]
    wrong = look(pages, browser)
    print("\n".join(wrong) if wrong else f"{len(pages)} pages looked at: nothing wrong")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
