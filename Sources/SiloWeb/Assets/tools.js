// Small helps: copying what is shown, and selecting all rows of a list at once.

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const text = source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without the right to do that, as over plain HTTP, an older way is left.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

function selectAll(box) {
  for (const other of box.form.querySelectorAll("input[name=job]")) other.checked = box.checked;
}

export function start() {
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });
  addEventListener("change", (event) => {
    if (event.target.matches?.("[data-select-all]")) selectAll(event.target);
  });
}
