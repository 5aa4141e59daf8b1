const find = selector => [...document.querySelectorAll(selector)];
const field = find("[name=q]")[0];
field.oninput = () => {
  const text = field.value.toLowerCase();
  for (const name of find("#list b")) name.closest("li").hidden = !name.textContent.toLowerCase().includes(text);
};
for (const time of find("time")) {
  const at = new Date(time.textContent.replace(" ", "T") + "Z");
  time.dateTime = at.toISOString();
  time.textContent = new Date(at - at.getTimezoneOffset() * 6e4).toISOString().slice(0, 16).replace("T", " ");
}
for (const utc of find("i")) utc.remove();
