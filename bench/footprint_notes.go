package main

// notes are what the figures do not say by themselves.
const notes = `
`
