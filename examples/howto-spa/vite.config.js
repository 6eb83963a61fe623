// Names with a hexadecimal hash: nginx tells browsers to keep such files for a year.
export default {
  build: { rolldownOptions: { output: { hashCharacters: "hex" } } },
};
