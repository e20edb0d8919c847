(() => {
const factory = () => ({ loginSalt: '', minimumPasswordLength: 8 });
if (typeof(module) !== 'undefined' && module.exports) {
    module.exports = factory();
} else {
    define(factory);
}
})();
