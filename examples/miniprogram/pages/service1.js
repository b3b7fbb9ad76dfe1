// What the customer reads, by the tag of the entry.
const names = { cs1: '售前客服', cs2: '售后客服', vip: '贵宾专线' };

Page({
  data: { tag: 'cs1', name: names.cs1 },

  // The links of config.yaml name the entry: /pages/service1?tag=cs2. Without one
  // it is cs1.
  onLoad({ tag }) {
    if (names[tag]) {
      this.setData({ tag, name: names[tag] });
    }
  },
});
