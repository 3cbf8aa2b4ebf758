import"./chunk-GTQAT47V.js";import"./chunk-3444YBZQ.js";
