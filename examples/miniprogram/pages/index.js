const { server } = require('../config');

Page({
  data: { asking: false },

  // Runs when the customer comes back by tapping a mini-program card in the
  // conversation. path and query are the card's: here those of send-message-path.
  onContact(event) {
    const { path, query } = event.detail;
    console.info('back from the conversation', path, query);
  },

  // Asks the server which page belongs to an entry, and opens it.
  openService() {
    this.setData({ asking: true });
    wx.request({
      url: `${server}/api/getCustomerServiceUrl`,
      method: 'POST',
      data: { customerId: 'cs1' },
      timeout: 5000,
      success: ({ data }) => {
        if (!data || !data.success) {
          this.explain((data && data.message) || '服务器没有给出客服页面');
          return;
        }
        wx.navigateTo({
          url: data.url,
          fail: () => this.explain(`小程序里没有这个页面：${data.url}`),
        });
      },
      fail: () => this.explain('连不上服务器，请检查 config.js 里的地址'),
      complete: () => this.setData({ asking: false }),
    });
  },

  explain(content) {
    wx.showModal({ title: '打不开客服页面', content, showCancel: false });
  },
});
