export default { base: "./", esbuild: { jsx: "automatic" }, build: { outDir: "dist", minify: false } };
