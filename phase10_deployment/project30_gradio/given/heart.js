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
  let away = false;
  const beat = async () => {
    let here = null;
    try {
      const answer = await fetch("alive", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      here = answer.ok ? (await answer.json()).run : null;
    } catch { here = null; }
    if ((here === null) !== away) {
      away = here === null;
      say().textContent = away
        ? "The page’s own server does not answer. What is on the page stays; it goes on by itself when the server is back."
        : "";
      document.body.classList.toggle("page-gone", away);
    }
    setTimeout(beat, away ? 1000 : 2000);
  };
  setTimeout(beat, 500); // gradio puts this into the page when it has long been loaded
})();
