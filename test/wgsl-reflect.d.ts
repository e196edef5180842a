// The package declares types for its main entry only, which is CommonJS under "type": "module" and does not load in Node.
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
