(() => {
const factory = (AppConfig) => {
    return AppConfig;
};
if (typeof(module) !== 'undefined' && module.exports) {
    module.exports = factory(require('../www/common/application_config_internal.js'));
} else if ((typeof(define) !== 'undefined' && define !== null) && (define.amd !== null)) {
    define(['/common/application_config_internal.js'], factory);
}
})();
