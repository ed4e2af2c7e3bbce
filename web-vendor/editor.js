// The editor of the composer, and the sanitiser of what is pasted into it.
export { default as DOMPurify } from "dompurify";
export { default as Squire } from "squire-rte";
