// The smallest router there is: the page is what its address says.
function show() {
  const order = location.pathname.match(/^\/orders\/(\d+)$/);
  document.querySelector("main").textContent = order ? `This is order ${order[1]}.` : "This is the home page.";
}

document.querySelector("nav").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  history.pushState({}, "", link.href);
  show();
});
addEventListener("popstate", show);
show();
