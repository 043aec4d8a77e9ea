// The editor of statements: keys, what fills it, and how it is sent. Without it the form works as any form.
import { History } from "./sqlhistory.js";
import { Offers, insert } from "./sqloffers.js";

// As the server has it; what is longer is sent by POST.
const addressMax = 4000;
const valuesMax = 20;

function isLong(form) {
  const query = new URLSearchParams(new FormData(form)).toString();
  // Spaces are longer in an address that the server writes.
  return query.length + 2 * (query.match(/\+/g)?.length ?? 0) > addressMax - 100;
}

/** Just before the form is sent: by an address or, with its token, without. */
function prepare(form, submitter) {
  form.querySelector("input[data-token]")?.remove();
  const button = document.getElementById("sql-long");
  const isOwn = submitter?.hasAttribute("formmethod");
  form.method = !isOwn && isLong(form) ? "post" : "get";
  if (form.method === "post") {
    const token = document.createElement("input");
    token.type = "hidden";
    token.dataset.token = "yes";
    token.name = button.name;
    token.value = button.value;
    form.append(token);
  }
  // What is empty has no place in an address.
  const empty = [...form.elements].filter((field) => field.name && field.value === "" && !field.disabled);
  for (const field of empty) field.disabled = true;
  setTimeout(() => {
    for (const field of empty) field.disabled = false;
    form.querySelector("input[data-token]")?.remove();
    // A question may be asked again.
    delete form.dataset.sent;
  });
}

/** A field for each of `$1`, `$2` and so on that the statement names. */
function showValues(editor) {
  const place = document.getElementById("sql-values");
  const text = editor.value.replace(/'[^']*'|--[^\n]*/g, "");
  const wanted = Math.min(valuesMax, Math.max(0, ...[...text.matchAll(/\$(\d{1,2})\b/g)].map(([, number]) => Number(number))));
  while (place.children.length > wanted) place.lastElementChild.remove();
  while (place.children.length < wanted) {
    const number = place.children.length + 1;
    const label = document.createElement("label");
    const title = document.createElement("span");
    title.textContent = `Value of $${number}`;
    const input = document.createElement("input");
    Object.assign(input, { name: `p${number}`, maxLength: 1024, autocomplete: "off", spellcheck: false });
    label.append(title, input);
    place.append(label);
  }
}

export function start() {
  const form = document.getElementById("sql");
  const editor = document.getElementById("sql-text");
  if (!form || !editor) return;
  const offers = new Offers(editor);
  const fill = (text) => {
    insert(editor, 0, editor.value.length, text);
    offers.close();
    showValues(editor);
    document.querySelector("#sql-values input")?.focus();
    form.scrollIntoView({ block: "nearest" });
  };
  const history = new History(document.getElementById("sql-history"), fill);
  if (form.dataset.ran) history.add(editor.value);

  form.addEventListener("submit", (event) => prepare(form, event.submitter));
  editor.addEventListener("input", () => showValues(editor));
  editor.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (offers.key(event)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      const text = history.step(event.key === "ArrowUp" ? 1 : -1, editor.value);
      if (text !== null) insert(editor, 0, editor.value.length, text);
    }
  });
  addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-fill]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      fill(new URL(link.href).searchParams.get("q") ?? "");
    }
    const place = event.target.closest?.("[data-at]");
    if (place) {
      const at = Number(place.dataset.at);
      editor.focus();
      editor.setSelectionRange(at, at + (/^[\p{L}\p{N}_$]+/u.exec(editor.value.slice(at))?.[0].length ?? 1));
    }
  });
}
