"use strict";
const field = document.querySelector("[name=q]");
field.addEventListener("input", () => {
  const text = field.value.toLowerCase();
  for (const row of document.querySelectorAll("#list li"))
    row.hidden = !row.querySelector("b").textContent.toLowerCase().includes(text);
});
for (const time of document.querySelectorAll("#list time")) {
  const utc = time.textContent, at = new Date(utc.replace(" ", "T") + "Z");
  time.dateTime = at.toISOString();
  time.title = utc + " UTC";
  time.textContent = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16).replace("T", " ");
}
const utc = document.querySelector(".sort i");
if (utc) utc.remove();
