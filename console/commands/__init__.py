"""One file for each group of commands; `console.app` names them all."""
