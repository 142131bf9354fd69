"use strict";
(() => {
  // A slider moves the edge between scene and mask; so does a pointer on the picture itself.
  const show = (range) => range.closest(".card").style.setProperty("--at", range.value);
  document.querySelectorAll(".slide input").forEach(show); // browsers keep values over a reload
  document.addEventListener("input", (event) => {
    if (event.target.matches(".slide input")) show(event.target);
    if (event.target.name === "mode") setMode(event.target.value);
  });
  const setMode = (mode) => document.body.classList.toggle("fades", mode === "fade");
  const chosen = document.querySelector("input[name=mode]:checked");
  if (chosen) setMode(chosen.value);

  const follow = (event) => {
    const picture = event.target.closest(".compare");
    const range = picture && picture.closest(".card").querySelector(".slide input");
    if (!range) return;
    const box = picture.getBoundingClientRect();
    range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show(range);
  };
  document.addEventListener("pointerdown", (event) => {
    const picture = event.target.closest(".compare");
    if (!picture || event.button !== 0) return;
    picture.setPointerCapture(event.pointerId);
    follow(event);
  });
  document.addEventListener("pointermove", (event) => {
    if (event.target.hasPointerCapture && event.target.hasPointerCapture(event.pointerId)) {
      follow(event);
    }
  });

  // A click on a heading sorts by its column, another click the other way round.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  };
  const compare = (a, b, numeric) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is unknown stays last
    return numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
  };
  const sort = (heading) => {
    const column = heading.cellIndex;
    const numeric = heading.classList.contains("number");
    const before = heading.getAttribute("aria-sort");
    // Numbers are looked at from the greatest, names from the first.
    const way = before ? (before === "ascending" ? -1 : 1) : numeric ? -1 : 1;
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const body = heading.closest("table").tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    const known = (entry) => entry[0] !== "";
    rows.sort((a, b) => (known(a) && known(b) ? way : 1) * compare(a[0], b[0], numeric));
    body.append(...rows.map((entry) => entry[1]));
  };
  document.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => sort(button.closest("th")));
  });

  // Points of the time line tell what they are while they are pointed at or focused.
  const tip = document.querySelector(".tip");
  const tell = (event) => {
    const point = event.target.closest && event.target.closest(".plot a");
    if (!tip || !point) return;
    const dot = point.querySelector(".dot").getBoundingClientRect();
    const plot = tip.parentElement.getBoundingClientRect();
    tip.textContent = point.getAttribute("aria-label");
    tip.hidden = false;
    const half = tip.offsetWidth / 2;
    const centre = dot.left + dot.width / 2;
    const room = document.documentElement.clientWidth - half - 8;
    tip.style.left = `${Math.max(half + 8, Math.min(room, centre)) - plot.left}px`;
    tip.style.top = `${dot.top + dot.height / 2 - plot.top}px`;
  };
  const hush = (event) => {
    if (tip && event.target.closest && event.target.closest(".plot a")) tip.hidden = true;
  };
  document.addEventListener("mouseover", tell);
  document.addEventListener("focusin", tell);
  document.addEventListener("mouseout", hush);
  document.addEventListener("focusout", hush);

  // Paper cannot be clicked.
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
  });
})();
