const base = require('@jupyterlab/testutils/lib/jest-config')(__dirname);

const modules = [
  '@jupyter/',
  '@jupyterlab/',
  '@microsoft/',
  '@codemirror/',
  'exenv-es6',
  'lib0',
  'nanoid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs'
].join('|');

module.exports = {
  ...base,
  testRegex: 'src/__tests__/.*\\.spec\\.tsx?$',
  reporters: ['default'],
  collectCoverage: false,
  transformIgnorePatterns: [`/node_modules/(?!${modules}).+`]
};
