import{k as e}from"./chunk-OFDG4NQA.js";var n=e(null);function l(t){n.value=t}function o(){n.value=null}export{n as a,l as b,o as c};
