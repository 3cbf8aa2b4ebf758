import{i as e}from"./chunk-26PQAFE3.js";var n=e(null);function t(i){n.value=i}function o(){n.value=null}export{n as a,t as b,o as c};
