// The theme that was chosen here before, set before anything is drawn. Without one the system's counts.
(() => {
  const chosen = localStorage.getItem("tollgate-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
