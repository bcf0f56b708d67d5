// The page's heart: asks every two seconds whether the page's own server is there, and says so when it is not.
(() => {
  const say = () => {
    let box = document.getElementById("page-gone");
    if (!box) {
      box = document.createElement("div");
      box.id = "page-gone";
      box.setAttribute("role", "alert");
      document.body.appendChild(box);
    }
    return box;
  };
  let away = false, run = null;
  const beat = async () => {
    let here = null;
    try {
      const answer = await fetch("alive", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      here = answer.ok ? (await answer.json()).run : null;
    } catch { here = null; }
    if (here === null && !away) { away = true; say().textContent = "The page’s own server does not answer. What is on the page stays; it goes on by itself when the server is back."; say().classList.add("shown"); }
    if (here !== null && away) { away = false; say().textContent = ""; say().classList.remove("shown"); }
    setTimeout(beat, away ? 1000 : 2000);
  };
  setTimeout(beat, 500); // gradio puts this into the page when it has long been loaded
})();
