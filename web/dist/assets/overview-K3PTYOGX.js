import{m as a}from"./chunk-HYUXGZ36.js";import"./chunk-3444YBZQ.js";export{a as default};
