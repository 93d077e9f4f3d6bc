import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: process.env.DOCUMENT!,
  // With `module: nodenext`, an import needs the extension of the file.
  output: { path: process.env.OUTPUT!, module: { extension: ".js" } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
});
