// Sliders say where they stand while they are moved.
document.addEventListener("input", (event) => {
  const slider = event.target;
  if (slider.type !== "range") return;
  const output = slider.form?.querySelector(`output[for="${slider.id}"]`);
  if (output) output.value = `${slider.value}${output.dataset.unit ? `\u202f${output.dataset.unit}` : ""}`;
});
