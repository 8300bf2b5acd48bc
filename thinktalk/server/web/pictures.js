// Pictures to show: chosen, dropped, pasted, or seen by the camera. All become small JPEGs in a data URL.

const LARGEST_SIDE = 1024;
const QUALITY = 0.85;

/** Any picture that the browser can read -> data URL. */
export function shrink(source, width, height) {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // behind what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", QUALITY);
}

/** Pictures that wait to go with what is said next. Emits "change", and "refused" with a reason in `detail`. */
export class Tray extends EventTarget {
  waiting = [];

  async add(files) {
    for (const file of files) {
      try {
        const bitmap = await createImageBitmap(file);
        this.waiting.push(shrink(bitmap, bitmap.width, bitmap.height));
        bitmap.close();
      } catch {
        const reason = `${file.name || "That"} is not a picture that this browser can read.`;
        this.dispatchEvent(new CustomEvent("refused", { detail: reason }));
      }
    }
    this.dispatchEvent(new Event("change"));
  }

  remove(index) {
    this.waiting.splice(index, 1);
    this.dispatchEvent(new Event("change"));
  }

  /** All that waits, which then waits no more. */
  take() {
    const taken = this.waiting;
    if (taken.length) {
      this.waiting = [];
      this.dispatchEvent(new Event("change"));
    }
    return taken;
  }

  /** Take pictures out of a paste or a drop on the whole page. */
  listen(target) {
    const pictures = (transfer) =>
      [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    target.addEventListener("paste", (event) => {
      const files = pictures(event.clipboardData);
      if (files.length) event.preventDefault();
      this.add(files);
    });
    target.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    target.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    target.addEventListener("drop", (event) => {
      document.body.classList.remove("dropping");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    });
  }
}

const REASONS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address.",
  NotFoundError: "There is no camera here.",
  NotReadableError: "Another program holds the camera.",
};

/** The camera, shown in a <video>; one frame is taken when someone begins to speak. */
export class Camera {
  #video;
  #stream = null;

  constructor(video) {
    this.#video = video;
  }

  get open() {
    return this.#stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Error("Browsers give the camera only to https pages and to localhost.");
    try {
      const video = { facingMode: "environment", width: { ideal: 1280 } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera does not start (${error.name}).`, { cause: error });
    }
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.#video.srcObject = null;
  }

  /** What it sees now, as a data URL; null while it is off or still dark. */
  frame() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    return this.open && width ? shrink(this.#video, width, height) : null;
  }
}
