// Sends files to the folder of scripts, each under its own name.

const place = document.querySelector("[data-upload]");
const input = place?.querySelector("input");
const notice = document.querySelector("[data-notice]");

if (place) place.hidden = false;

async function upload(file) {
  const answer = await fetch(`/api/v1/scripts/${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
  if (answer.ok) return;
  const problem = await answer.json();
  throw new Error(`${file.name}: ${problem.errors?.[0]?.message ?? problem.detail}`);
}

input?.addEventListener("change", async () => {
  notice.hidden = true;
  try {
    for (const file of input.files) await upload(file);
    location.reload();
  } catch (error) {
    notice.textContent = error.message;
    notice.hidden = false;
    input.value = "";
  }
});
