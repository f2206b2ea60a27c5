/** The version of this half; a test of the Python half holds it to the package's. */
export const VERSION = '0.1.0';
