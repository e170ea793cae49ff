// The lines to embed: this service's own address in them, and a button that copies each.
(() => {
  "use strict";
  // The root of the service or of the exported site, which may be below its host's root.
  const root = new URL("..", document.currentScript.src).href.replace(/\/$/, "");

  function setUp() {
    for (const place of document.querySelectorAll(".origin")) place.textContent = root;
    const said = document.getElementById("copied");
    // A browser lets pages write to the clipboard over https and on the machine itself only.
    if (!said || !navigator.clipboard) return;
    for (const button of document.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
          button.textContent = "Copied";
          said.textContent = "Copied";
        } catch {
          said.textContent = "The browser does not let this page copy";
        }
        setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
      });
    }
  }

  setUp();
  document.addEventListener("page:renewed", setUp);
})();
