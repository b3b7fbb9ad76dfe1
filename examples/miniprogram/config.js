// The address of your kefud. On a phone WeChat takes only https addresses
// whose host is in the console's list of request domains; the developer tool on
// your own computer takes this one too.
module.exports = {
  server: 'http://127.0.0.1:8080',
};
