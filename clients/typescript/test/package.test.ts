/** The package as it is published. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

const PACKAGE = resolve(import.meta.dirname, "..");
const REPOSITORY = resolve(PACKAGE, "../..");
/** A project that has installed the package. */
let project: string;
let files: string[];

before(async () => {
  project = await mkdtemp(join(tmpdir(), "numberdesk-package-"));
  const packed = execFileSync("npm", ["pack", "--json", "--silent", "--pack-destination", project], {
    cwd: PACKAGE,
    encoding: "utf8",
  });
  const [{ filename, files: listed }] = JSON.parse(packed);
  files = listed.map(({ path }: { path: string }) => path);
  const modules = join(project, "node_modules");
  await mkdir(join(modules, "@numberdesk/client"), { recursive: true });
  execFileSync("tar", [
    "-xzf",
    join(project, filename),
    "-C",
    join(modules, "@numberdesk/client"),
    "--strip-components=1",
  ]);
  for (const name of ["openapi-fetch", "openapi-typescript-helpers", "@types"]) {
    await symlink(join(PACKAGE, "node_modules", name), join(modules, name));
  }
});
after(() => rm(project, { recursive: true, force: true }));

test("it has the version of the API and of the service", async () => {
  const { version } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
  const { info } = JSON.parse(await readFile(join(REPOSITORY, "openapi/numberdesk.json"), "utf8"));
  const cargo = await readFile(join(REPOSITORY, "Cargo.toml"), "utf8");
  assert.equal(version, info.version);
  assert.equal(version, /^version = "(.+)"$/m.exec(cargo)?.[1]);
});

test("it contains what it needs, and nothing else", () => {
  for (const file of [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/node.js",
    "dist/generated/schema.d.ts",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
  ]) {
    assert.ok(files.includes(file), `${file} is missing`);
  }
  assert.deepEqual(
    files.filter((path) => !/^(dist|examples)\/|^(README\.md|package\.json|LICENSE-\w+)$/.test(path)),
    [],
  );
});

test("only the part for Node.js imports from Node.js, and the only dependency is openapi-fetch", async () => {
  const imported = new Set<string>();
  for (const path of files.filter((path) => path.endsWith(".js") && path !== "dist/node.js")) {
    const text = await readFile(join(PACKAGE, path), "utf8");
    for (const [, name] of text.matchAll(/from "([^"]+)"/g)) if (!name!.startsWith(".")) imported.add(name!);
  }
  const { dependencies } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
  assert.deepEqual([...imported], ["openapi-fetch"]);
  assert.deepEqual(Object.keys(dependencies), ["openapi-fetch"]);
});

test("a strict project compiles every block of the README, with and without the types of Node.js", async () => {
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, block]) => block!);
  assert.ok(blocks.length >= 6);
  for (const [index, block] of blocks.entries()) await writeFile(join(project, `block-${index}.ts`), block);
  const shared = `
    import { NumberdeskClient } from "@numberdesk/client";
    export const client = new NumberdeskClient({ baseUrl: "", token: "" });
  `;
  await writeFile(join(project, "my-client.ts"), shared);
  await writeFile(join(project, "package.json"), '{ "type": "module" }');
  for (const types of [["node"], []]) {
    const options = {
      strict: true,
      target: "ES2022",
      module: "nodenext",
      noEmit: true,
      types,
      lib: ["ES2022", "DOM", "DOM.Iterable"],
    };
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions: options, include: ["*.ts"] }),
    );
    const tsc = join(PACKAGE, "node_modules/.bin/tsc");
    const { status, stdout } = spawnSync(tsc, ["--project", project], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  }
});

test("a project without TypeScript imports it", async () => {
  const code = `
    import { NumberdeskClient } from "@numberdesk/client";
    import { FileKeyStore } from "@numberdesk/client/node";
    console.log(typeof NumberdeskClient, typeof FileKeyStore);
  `;
  await writeFile(join(project, "main.mjs"), code);
  assert.equal(
    execFileSync(process.execPath, ["main.mjs"], { cwd: project, encoding: "utf8" }),
    "function function\n",
  );
});
