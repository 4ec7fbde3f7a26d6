// Menus above the answers. The page is complete without this.
const form = document.getElementById("filters");
if (form) {
  const questions = [...document.querySelectorAll(".question")];
  const menus = [...form.querySelectorAll("select")];
  const fits = (question, { dataset: { filter }, value }) =>
    !value || question.dataset[filter] === value || question.dataset[filter].split("|").includes(value);
  const choose = () => {
    let shown = 0;
    for (const question of questions) {
      question.hidden = !menus.every((menu) => fits(question, menu));
      shown += question.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = `${shown} of ${questions.length}`;
  };
  form.hidden = false;
  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  choose(); // a reload may bring back what was chosen before
}
