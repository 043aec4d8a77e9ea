// The list of words at the cursor of the editor: it comes while one types, or with Ctrl-Space. Tab takes one, Escape closes it.
import { offer, vocabulary } from "./sqlwords.js";

const shownMax = 50;

export class Offers {
  constructor(editor) {
    this.editor = editor;
    this.known = vocabulary();
    this.said = document.getElementById("sql-said");
    this.list = document.createElement("ul");
    this.list.className = "offers";
    this.list.id = "sql-offers";
    this.list.hidden = true;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "What may stand here");
    editor.after(this.list);
    editor.setAttribute("aria-controls", this.list.id);
    editor.setAttribute("aria-autocomplete", "list");
    // Before the editor loses the focus.
    this.list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const item = event.target.closest("li");
      if (item) this.take([...this.list.children].indexOf(item));
    });
    editor.addEventListener("blur", () => this.close());
    editor.addEventListener("scroll", () => { if (this.isOpen) this.place(); });
    editor.addEventListener("input", (event) => this.typed(event));
  }

  get isOpen() { return !this.list.hidden; }

  typed(event) {
    const letter = event.data ?? "";
    if (event.inputType !== "insertText" && !this.isOpen) return;
    if (letter && !/^[\p{L}\p{N}_$.]$/u.test(letter)) return this.close();
    this.show(false);
  }

  /** Shows what fits; `isWanted`: somebody asked for it, so that the only one is taken at once. */
  show(isWanted) {
    if (!this.known) return;
    const { selectionStart: at, selectionEnd: end, value } = this.editor;
    if (at !== end) return this.close();
    const found = offer(value.slice(0, at), value.slice(at), this.known);
    const isNews = found.candidates.some(({ text }) => text.trimEnd() !== found.typed);
    const isDue = isWanted || found.typed.length > 0 || value[at - 1] === ".";
    this.found = found;
    if (!isNews || !isDue) {
      if (isWanted) this.said.textContent = "No word fits here";
      return this.close();
    }
    if (isWanted && found.candidates.length === 1) return this.take(0);
    this.list.replaceChildren(...found.candidates.slice(0, shownMax).map((candidate, index) => this.item(candidate, index)));
    this.chosen = 0;
    this.hasMoved = false;
    this.list.hidden = false;
    this.from = at - found.typed.length;
    this.place();
    this.mark();
    this.said.textContent = `${found.candidates.length} words fit: Tab takes ${found.candidates[0].text.trim()}`;
  }

  item({ text, kind }, index) {
    const item = document.createElement("li");
    item.id = `sql-offer-${index}`;
    item.setAttribute("role", "option");
    const small = document.createElement("small");
    small.textContent = kind;
    item.append(text.trimEnd(), " ", small);
    return item;
  }

  /** Below the line of the cursor, where the word begins. */
  place() {
    const { editor, list, from: at } = this;
    const before = editor.value.slice(0, at);
    const line = before.split("\n").length;
    const column = at - (before.lastIndexOf("\n") + 1);
    const style = getComputedStyle(editor);
    const context = (this.canvas ??= document.createElement("canvas")).getContext("2d");
    context.font = `${style.fontSize} ${style.fontFamily}`;
    const x = parseFloat(style.paddingLeft) + column * context.measureText("0").width - editor.scrollLeft;
    const y = parseFloat(style.paddingTop) + line * parseFloat(style.lineHeight) - editor.scrollTop;
    list.style.left = `${editor.offsetLeft + Math.max(0, Math.min(x, editor.clientWidth - list.offsetWidth))}px`;
    list.style.top = `${editor.offsetTop + Math.min(y, editor.clientHeight) + 4}px`;
  }

  mark() {
    [...this.list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === this.chosen)));
    const item = this.list.children[this.chosen];
    if (!item) return;
    this.editor.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  step(by) {
    const count = this.list.children.length;
    this.chosen = (this.chosen + by + count) % count;
    this.hasMoved = true;
    this.mark();
  }

  take(index = this.chosen) {
    const candidate = this.found.candidates[index];
    this.close();
    if (!candidate) return;
    const { editor } = this;
    const at = editor.selectionStart;
    // A space that is there already is enough.
    const text = editor.value[at] === " " ? candidate.text.trimEnd() : candidate.text;
    insert(editor, at - this.found.typed.length, at, text);
  }

  close() {
    this.list.hidden = true;
    this.editor.removeAttribute("aria-activedescendant");
  }

  /** Whether the key meant the list. */
  key(event) {
    if (event.key === " " && event.ctrlKey) {
      this.show(true);
      return true;
    }
    if (!this.isOpen) return false;
    switch (event.key) {
      case "Tab":
        if (event.shiftKey) return false;
        this.take();
        return true;
      case "Enter":
        if (!this.hasMoved || event.ctrlKey) return false;
        this.take();
        return true;
      case "ArrowDown": this.step(1); return true;
      case "ArrowUp": this.step(-1); return true;
      case "Escape": this.close(); return true;
      default: return false;
    }
  }
}

/** Puts a text in the place of another, so that it can be undone. */
export function insert(editor, from, to, text) {
  editor.focus();
  editor.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, text)) editor.setRangeText(text, from, to, "end");
}
