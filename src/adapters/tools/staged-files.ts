import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { refuse } from "./define-tool.ts";
import { decodeText, type TextFile } from "./text-file.ts";
import {
  contentHash,
  modeInside,
  type Place,
  placeOf,
  readInside,
  removeInside,
  writeInside,
} from "./workspace-files.ts";

/** Files changed together: first in memory, then all of them, and back again if one of them fails. */
export class StagedFiles {
  readonly #context: ToolContext;
  readonly #files = new Map<string, StagedFile>();

  constructor(context: ToolContext) {
    this.#context = context;
  }

  /** The file as the changes so far leave it. */
  async open(path: string): Promise<StagedFile> {
    this.#context.signal.throwIfAborted();
    const place = await placeOf(this.#context.root, path);
    const known = this.#files.get(place.realPath);
    if (known !== undefined) return known;
    const file = place.exists ? await this.#load(place) : new StagedFile(this.#context, place, null);
    this.#files.set(place.realPath, file);
    return file;
  }

  /** Writes what changed. @returns the paths. Throws after it has put back what it had written. */
  async commit(): Promise<readonly string[]> {
    const { root } = this.#context;
    const changed = [...this.#files.values()].filter((file) => file.isChanged);
    const done: StagedFile[] = [];
    // New content first: should it fail for want of space, nothing is gone yet.
    changed.sort((a, b) => Number(b.exists) - Number(a.exists));
    try {
      for (const file of changed) {
        this.#context.signal.throwIfAborted();
        done.push(file);
        await file.save(root);
      }
    } catch (error) {
      await this.#undo(done);
      throw error;
    }
    for (const file of changed) this.#note(file);
    return changed.map((file) => file.place.realPath);
  }

  /** Takes every opened file as known to the agent in the state it is in. @returns their paths. */
  noteAll(): readonly string[] {
    const files = [...this.#files.values()];
    for (const file of files) this.#note(file);
    return files.map((file) => file.place.realPath);
  }

  #note(file: StagedFile): void {
    if (file.hash === null) this.#context.seen.delete(file.place.realPath);
    else this.#context.seen.set(file.place.realPath, file.hash);
  }

  async #load(place: Place): Promise<StagedFile> {
    const { bytes, size } = await readInside(this.#context.root, place, LIMITS.fileReadBytes);
    if (size > LIMITS.fileReadBytes) {
      refuse(
        `${JSON.stringify(place.path)} has ${size} bytes; at most ${LIMITS.fileReadBytes} can be changed by a patch.`,
      );
    }
    return new StagedFile(this.#context, place, { bytes, mode: await modeInside(this.#context.root, place) });
  }

  async #undo(done: readonly StagedFile[]): Promise<void> {
    const broken: string[] = [];
    for (const file of done) await file.restore(this.#context.root).catch(() => broken.push(file.place.path));
    if (broken.length === 0) return;
    refuse(
      `The patch failed half way, and these files could not be put back: ${broken.join(", ")}. Read them before you go on.`,
    );
  }
}

interface Content {
  readonly bytes: Buffer;
  readonly mode?: number;
}

export class StagedFile {
  readonly place: Place;
  readonly #context: ToolContext;
  readonly #original: Content | null;
  #now: Content | null;

  constructor(context: ToolContext, place: Place, original: Content | null) {
    this.#context = context;
    this.place = place;
    this.#original = original;
    this.#now = original;
  }

  get exists(): boolean {
    return this.#now !== null;
  }

  get isChanged(): boolean {
    return this.#now !== this.#original;
  }

  get hash(): string | null {
    return this.#now === null ? null : contentHash(this.#now.bytes);
  }

  get mode(): number | undefined {
    return this.#now?.mode;
  }

  text(): TextFile {
    const text = decodeText(this.#now?.bytes ?? Buffer.alloc(0));
    return (
      text ??
      refuse(`${JSON.stringify(this.place.path)} is binary or not UTF-8 text; a patch cannot change it.`)
    );
  }

  put(bytes: Buffer, mode: number | undefined = this.#original?.mode): void {
    this.#now = mode === undefined ? { bytes } : { bytes, mode };
  }

  remove(): void {
    this.#now = null;
  }

  /** Whether the file on disk is what the agent has seen of it; `null` when it has seen nothing. */
  get isAsSeen(): boolean | null {
    const seen = this.#context.seen.get(this.place.realPath);
    return seen === undefined || this.#original === null ? null : seen === contentHash(this.#original.bytes);
  }

  refuseStale(): void {
    if (this.isAsSeen !== false) return;
    refuse(
      `${JSON.stringify(this.place.path)} has changed since you read it. Read it again, then make the patch anew. Nothing was changed.`,
    );
  }

  async save(root: string): Promise<void> {
    await put(root, this.place, this.#now);
  }

  async restore(root: string): Promise<void> {
    await put(root, this.place, this.#original);
  }
}

async function put(root: string, place: Place, content: Content | null): Promise<void> {
  const now = await placeOf(root, place.realPath);
  if (content !== null) await writeInside(root, now, content);
  else if (now.exists) await removeInside(root, now);
}
