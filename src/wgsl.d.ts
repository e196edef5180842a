/** WGSL files are imported as text; the build strips their comments. */
declare module "*.wgsl?raw" {
  const text: string;
  export default text;
}
