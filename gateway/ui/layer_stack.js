// Tells the page's program what is done to rows of layers. `element` holds them, `trigger` tells; both are Gradio's.
const told = () =>
  [...element.querySelectorAll("[data-layer]")].map((row) => ({
    key: row.dataset.layer,
    visible: row.querySelector(".visible").checked,
    opacity: Number(row.querySelector(".opacity").value),
    blend: row.querySelector(".blend").value,
  }));

element.addEventListener("input", (event) => {
  const row = event.target.closest("[data-layer]");
  row.querySelector("output").textContent = `${row.querySelector(".opacity").value} %`;
  trigger("input", { layers: told() });
});

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button === null) return;
  const row = button.closest("[data-layer]");
  if (button.dataset.do === "apart") {
    trigger("submit", { layers: told(), key: row.dataset.layer });
    return;
  }
  if (button.dataset.do === "up") row.previousElementSibling?.before(row);
  else row.nextElementSibling?.after(row);
  button.focus();
  trigger("input", { layers: told() });
});
