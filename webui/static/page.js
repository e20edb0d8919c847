// Says when the line to gardien is cut: what stands on a page that cannot move any more must not be taken for the present.
"use strict";
const offline = document.getElementById("offline");
document.body.addEventListener("htmx:sseError", () => { offline.hidden = false; });
document.body.addEventListener("htmx:sseOpen", () => { offline.hidden = true; });
